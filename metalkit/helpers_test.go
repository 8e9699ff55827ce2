package metalkit

import (
	"slices"
	"testing"

	"gimbal/inference/device"
	"gimbal/metalkit/internal/tune"
)

func allocMat(t testing.TB, dev device.Device, dt device.DType, rows, cols int) device.Mat {
	t.Helper()
	b, err := dev.Alloc(device.Desc{Label: "test", DType: dt, Shape: []int{rows, cols}})
	if err != nil {
		t.Fatal(err)
	}
	return device.AsMat(b)
}

// fill writes values to m, which converts them.
func fill(t *testing.T, dev device.Device, m device.Mat, values []float32) {
	t.Helper()
	from := allocMat(t, dev, device.F32, m.Rows, m.Cols)
	if err := dev.Write(t.Context(), from.Buf, device.Bytes(values)); err != nil {
		t.Fatal(err)
	}
	if err := dev.Do(t.Context(), "fill", func(e device.Encoder) { e.Record(device.Move{X: from, Y: m}) }); err != nil {
		t.Fatal(err)
	}
}

// variantNamed is the number of a variant of an operation that has variants.
func variantNamed(t *testing.T, op tune.Op, name string) forced {
	t.Helper()
	all := tables()[device.BF16]
	i := -1
	switch op {
	case tune.Linear:
		i = slices.IndexFunc(linearVariants(), func(v linearVariant) bool { return v.name == name })
	case tune.Attention:
		i = slices.IndexFunc(all.attention, func(v attentionTile) bool { return v.name == name })
	case tune.Conv:
		i = slices.IndexFunc(all.conv, func(v tile) bool { return v.name == name })
	}
	if i < 0 {
		t.Fatalf("%s has no variant %s", op, name)
	}
	return forced{op, i}
}

// ran reports whether the variant of f has made a pipeline.
func (d *gpu) ran(f forced) bool {
	var kernel string
	switch tile := f.variant; f.op {
	case tune.Attention:
		kernel = d.variants.attention[tile].kernel
	case tune.Conv:
		kernel = d.variants.conv[tile].kernel
	case tune.Linear:
		kernel = d.tileOf(linearVariants()[tile]).kernel
	}
	for s := range d.pipelines {
		if s.Kernel == kernel {
			return true
		}
	}
	return false
}
