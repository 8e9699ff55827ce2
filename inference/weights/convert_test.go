package weights_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"gimbal/inference/device"
	"gimbal/inference/golden"
	"gimbal/inference/weights"
)

// errorBounds are the largest relative L2 errors of a matrix of normal deviates in each form:
// half a step of the codes, with some room.
var errorBounds = map[weights.Target]float64{
	weights.ToBF16: 0.003, weights.ToINT8: 0.02, weights.ToNF4: 0.13, weights.ToNF4Double: 0.14, weights.ToQ8: 0.008, weights.ToQ4K: 0.09,
}

// TestConvert converts an expert to every form, and each of these to every other.
func TestConvert(t *testing.T) {
	e := expertOf(t, golden.Cases(t, "dit_")[0])
	dir := t.TempDir()
	never := func(int64, int64) {}
	for _, first := range weights.Targets {
		path := filepath.Join(dir, string(first)+first.Extension())
		done := int64(0)
		c, err := weights.Convert(t.Context(), e.Store, weights.KindExpert, first, path, func(n, total int64) {
			if n < done || n > total {
				t.Errorf("%s: progress %d after %d, of %d", first, n, done, total)
			}
			done = n
		})
		if err != nil {
			t.Fatal(first, err)
		}
		if c.Error > errorBounds[first] || first != weights.ToBF16 && c.Error == 0 || len(c.Unused) > 0 {
			t.Errorf("%s: %+v", first, c)
		}
		from, err := weights.OpenExpert(path)
		if err != nil {
			t.Fatal(first, err)
		}
		defer from.Store.Close()
		for _, second := range weights.Targets {
			path := filepath.Join(dir, fmt.Sprintf("%s-%s%s", first, second, second.Extension()))
			c, err := weights.Convert(t.Context(), from.Store, weights.KindExpert, second, path, never)
			if err != nil {
				t.Fatalf("%s to %s: %v", first, second, err)
			}
			if c.Error > errorBounds[second] {
				t.Errorf("%s to %s: %+v", first, second, c)
			}
		}
	}
}

// TestConvertKeeps makes sure that no file is written over, and that what was written before
// is not written again.
func TestConvertKeeps(t *testing.T) {
	e := expertOf(t, golden.Cases(t, "dit_")[0])
	path := filepath.Join(t.TempDir(), "x.gguf")
	convert := func(ctx context.Context, source *weights.Store, to weights.Target) error {
		_, err := weights.Convert(ctx, source, weights.KindExpert, to, path, func(int64, int64) {})
		return err
	}
	if err := os.WriteFile(path+".part", []byte("what a killed process left"), 0o644); err != nil {
		t.Fatal(err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := convert(cancelled, e.Store, weights.ToQ8); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if left, _ := filepath.Glob(path + "*"); len(left) > 0 {
		t.Errorf("cancelled: left %v", left)
	}
	if err := convert(t.Context(), e.Store, weights.ToQ8); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := convert(t.Context(), e.Store, weights.ToQ8); err != nil {
		t.Errorf("again: %v", err)
	}
	if err := convert(t.Context(), e.Store, weights.ToQ4K); err == nil {
		t.Error("another form took the place of the first")
	}
	if after, err := os.Stat(path); err != nil || !os.SameFile(before, after) || before.ModTime() != after.ModTime() {
		t.Errorf("the file was written again: %v", err)
	}
	if err := os.WriteFile(path, []byte("a letter"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := convert(t.Context(), e.Store, weights.ToQ8); err == nil {
		t.Error("a stranger's file was written over")
	}
}

// TestOpenQuantisedOfQuantised makes INT8 of what is in another form.
func TestOpenQuantisedOfQuantised(t *testing.T) {
	e := expertOf(t, golden.Cases(t, "dit_")[0])
	path := filepath.Join(t.TempDir(), "x.gguf")
	if _, err := weights.Convert(t.Context(), e.Store, weights.KindExpert, weights.ToQ8, path, func(int64, int64) {}); err != nil {
		t.Fatal(err)
	}
	from, err := weights.OpenExpert(path)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Store.Close()
	q := weights.Quant{Format: weights.INT8}
	dry, missing, _, err := weights.DryQuantised(t.TempDir(), "expert", from.Store, q)
	if err != nil || missing != dry.Bytes() {
		t.Fatal(missing, err)
	}
	made, err := weights.OpenQuantised(t.Context(), t.TempDir(), "expert", from.Store, q, func(int64, int64) {})
	if err != nil {
		t.Fatal(err)
	}
	defer made.Close()
	if made.Quantised() != weights.INT8 || len(made.Names()) != len(dry.Names()) {
		t.Errorf("made %s, %d tensors, planned %d", made.Quantised(), len(made.Names()), len(dry.Names()))
	}
	for _, name := range from.Store.Names() {
		want, err := from.Store.Values(name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := made.Values(name)
		if err != nil {
			t.Fatal(err)
		}
		if off := golden.RelL2(got, want); off > 0.02 {
			t.Errorf("%s is off by %g", name, off)
		}
	}
}

// TestPack packs blocks of all kinds of values, and widens them again.
func TestPack(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	kinds := map[string]func(i int) float32{
		"normal": func(int) float32 { return float32(rnd.NormFloat64()) }, "positive": func(int) float32 { return 1 + rnd.Float32() }, "negative": func(int) float32 { return -3 - rnd.Float32() },
		"zeros": func(int) float32 { return 0 }, "one": func(i int) float32 { return map[bool]float32{true: 5}[i == 77] }, "the same": func(int) float32 { return 0.25 },
		"tiny": func(int) float32 { return float32(rnd.NormFloat64()) * 1e-4 }, "large": func(int) float32 { return float32(rnd.NormFloat64()) * 1e4 },
	}
	for f, bound := range map[device.Format]float64{device.Q8_0: 0.008, device.Q4_K: 0.09} {
		for kind, value := range kinds {
			x := make([]float32, 1024)
			for i := range x {
				x[i] = value(i)
			}
			packed, got := make([]byte, f.RowBytes(len(x))), make([]float32, len(x))
			weights.Pack(packed, x, f)
			weights.Unpack(got, packed, f)
			limit := bound
			if kind == "tiny" { // the scales are float16
				limit = 0.12
			}
			if off := golden.RelL2(got, x); off > limit || math.IsNaN(off) && kind != "zeros" {
				t.Errorf("%v of %s: off by %g", f, kind, off)
			}
		}
	}
}
