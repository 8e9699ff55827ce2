package weights_test

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"testing"

	"gimbal/inference/device"
	"gimbal/inference/golden"
	"gimbal/inference/weights"
)

// TestRandom makes sure that the weights of layers of one shape differ, are spread as
// they should be, and that the writing of them ends with ctx.
func TestRandom(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	path := filepath.Join(t.TempDir(), "weights.safetensors")
	table := weights.Table{
		{Name: "a.weight", Shape: []int{300, 200}}, {Name: "b.weight", Shape: []int{300, 200}},
		{Name: "c.gamma", Role: weights.Norm, Shape: []int{5000}}, {Name: "blocks.0.cam_scale_layer.weight", Shape: []int{300, 200}},
	}
	if err := weights.WriteTemporary(path, table.Random(ctx, device.BF16), nil); err != nil {
		t.Fatal(err)
	}
	store, err := weights.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	values := func(name string) []float32 {
		x, err := store.Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		v, err := x.Float32s()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	a, b := values("a.weight"), values("b.weight")
	if r := golden.RelL2(a, b); math.Abs(r-math.Sqrt2) > 0.05 {
		t.Errorf("weights of two layers are %v apart, want independent ones", r)
	}
	for name, want := range map[string]float64{"a.weight": 1, "blocks.0.cam_scale_layer.weight": 0.02 * 0.02} {
		var squares float64
		for _, v := range values(name) {
			squares += float64(v) * float64(v)
		}
		if size := squares / (300 * want); math.Abs(size-1) > 0.05 {
			t.Errorf("a row of %s has %v times the squared size %v", name, size, want)
		}
	}
	if m := mean64(values("c.gamma")); math.Abs(m-1) > 0.02 {
		t.Errorf("gammas of mean %v, want 1", m)
	}
	cancel()
	if err := weights.WriteTemporary(filepath.Join(t.TempDir(), "more"), table.Random(ctx, device.F32), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v after the end", err)
	}
}

func mean64(values []float32) (m float64) {
	for _, v := range values {
		m += float64(v) / float64(len(values))
	}
	return m
}
