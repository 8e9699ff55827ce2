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

// variantNamed is the number of a variant of Linear or Conv.
func variantNamed(t *testing.T, name string) forced {
	t.Helper()
	if i := slices.IndexFunc(linearVariants(), func(v linearVariant) bool { return v.name == name }); i >= 0 {
		return forced{tune.Linear, i}
	}
	i := slices.IndexFunc(tables()[device.BF16].conv, func(v tile) bool { return v.name == name })
	if i < 0 {
		t.Fatal("there is no variant", name)
	}
	return forced{tune.Conv, i}
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
