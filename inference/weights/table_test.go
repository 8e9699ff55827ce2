package weights_test

import (
	"context"
	"slices"
	"testing"

	"gimbal/inference/device"
	"gimbal/inference/golden"
	"gimbal/inference/umt5"
	"gimbal/inference/vae"
	"gimbal/inference/wan"
	"gimbal/inference/weights"
)

// TestTables makes sure that the tables have every tensor of the reference checkpoint, as
// it is and with its experts quantised, and of the shapes that these have.
func TestTables(t *testing.T) {
	l, err := weights.OpenLayout(golden.Checkpoint(t))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	check := func(s *weights.Store, table weights.Table, err error) {
		t.Helper()
		if unused := table.Unused(s); err != nil || len(unused) > 0 {
			t.Errorf("%s: %v are not used, %v", s.Path(), unused, err)
		}
		for _, spec := range table {
			x, err := s.Tensor(spec.Name)
			if err == nil && s.Format(spec.Name) == weights.Dense && !slices.Equal(x.Shape, spec.Shape) {
				t.Errorf("%s: %s is %v, the table says %v", s.Path(), spec.Name, x.Shape, spec.Shape)
			} else if err != nil {
				t.Error(err)
			}
		}
	}
	for name, e := range l.Experts {
		plain, err := weights.ReadWanSizes(e.Store, e.Config)
		check(e.Store, plain.Table(), err)
		for _, q := range []weights.Quant{nf4, {Format: weights.NF4, Nested: true}, {Format: weights.INT8}} {
			store, err := weights.OpenQuantised(t.Context(), t.TempDir(), name, e.Store, q, func(int64, int64) {})
			if err != nil {
				t.Fatal(err)
			}
			defer store.Close()
			sizes, err := weights.ReadWanSizes(store, e.Config)
			if check(store, sizes.Table(), err); sizes != plain {
				t.Errorf("%v: sizes %+v, want %+v", q, sizes, plain)
			}
		}
		guessed, err := weights.ReadWanSizes(e.Store, weights.WanConfig{})
		if err != nil || guessed.Config.NumLayers != e.Config.NumLayers {
			t.Errorf("%d layers without a config, want %d, %v", guessed.Config.NumLayers, e.Config.NumLayers, err)
		}
	}
	text, err := weights.ReadUMT5Sizes(l.Text)
	check(l.Text, text.Table(), err)
	layers, err := weights.ReadVAESizes(l.VAE)
	check(l.VAE, layers.Table(), err)
}

// TestDims loads made-up models on a device that wants no data.
func TestDims(t *testing.T) {
	d := weights.Dims{Dim: 64, FFN: 96, Heads: 2, Layers: 3, VAE: 8, Text: 64}
	dev := dry{openDevice(t)}
	e := d.DryExpert()
	m, err := wan.Load(t.Context(), dev, e.Store, e.Config)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if m.WanSizes != d.ExpertSizes() {
		t.Errorf("an expert's sizes are read as %+v", m.WanSizes)
	}
	text, err := umt5.Load(t.Context(), dev, d.DryText())
	if err != nil {
		t.Fatal(err)
	}
	defer text.Close()
	if text.Dim() != 64 {
		t.Errorf("the text encoder has %d channels", text.Dim())
	}
	v, err := vae.Load(t.Context(), dev, d.DryVAE(), vae.WanStatistics())
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	if v.Channels() != 16 || v.Stride() != 8 || v.StrideT() != 4 {
		t.Errorf("latents of %d channels, by %d and %d", v.Channels(), v.Stride(), v.StrideT())
	}
}

// dry is a device that looks at no data.
type dry struct{ device.Device }

func (dry) Host(int64) {}

func (dry) Write(context.Context, device.Buffer, []byte) error { return nil }

func (d dry) Map(x device.Desc, _ []byte, _ func()) (device.Buffer, error) { return d.Alloc(x) }
