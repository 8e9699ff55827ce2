package metalkit

import (
	"errors"
	"math"
	"testing"

	"gimbal/inference/device"
	"gimbal/metalkit/internal/driver"
)

// TestMatmul compares the driver's own product, if it has one, with loops.
func TestMatmul(t *testing.T) {
	dev := openTest(t, Options{})
	const m, n, k, ld = 37, 19, 24, 40
	for _, dt := range []device.DType{device.F32, device.F16} {
		x, w, y := allocMat(t, dev, dt, m, ld), allocMat(t, dev, dt, n, ld), allocMat(t, dev, device.F32, m, ld)
		a, b := make([]float32, m*ld), make([]float32, n*ld)
		for i := range a {
			a[i] = float32(i%17) - 8 // exact in 16 bits
		}
		for i := range b {
			b[i] = float32(i%23)/4 - 3
		}
		fill(t, dev, x, a)
		fill(t, dev, w, b)
		err := dev.Do(t.Context(), "test", func(device.Encoder) {
			e := &dev.enc
			u, v, to := e.in(x), e.in(w), e.out(y)
			record(e, dispatch{kernel: driver.Matmul, with: driver.Constants{A: u.dt, B: v.dt, Y: to.dt}, groups: [3]int{1, 1, 1}, threads: 1},
				&driver.MatmulArgs{M: m, N: n, K: k, LDX: u.ld, LDW: v.ld, LDY: to.ld}, u, v, to)
		})
		if errors.Is(err, device.ErrUnsupported) {
			t.Skip(err)
		}
		if err != nil {
			t.Fatal(err)
		}
		got := make([]float32, m*ld)
		if err := dev.Read(t.Context(), device.Bytes(got), y.Buf); err != nil {
			t.Fatal(err)
		}
		for i := range m {
			for j := range ld {
				want := 0.0
				for p := 0; p < k && j < n; p++ {
					want += float64(a[i*ld+p]) * float64(b[j*ld+p])
				}
				if math.Abs(float64(got[i*ld+j])-want) > 1e-3 {
					t.Fatalf("%v: element %d, %d is %g, want %g", dt, i, j, got[i*ld+j], want)
				}
			}
		}
	}
}

func TestMatmulTypes(t *testing.T) {
	const f32, f16, bf16 = uint32(device.F32), uint32(device.F16), uint32(device.BF16)
	for _, c := range []struct {
		a, b, y uint32
		want    bool
	}{{f32, f32, f32, true}, {f16, f16, f32, true}, {f16, f32, f32, false}, {bf16, bf16, f32, false}, {f32, f32, bf16, false}, {f16, f16, f16, false}} {
		if got := driver.HasMatmul(driver.Constants{A: c.a, B: c.b, Y: c.y}); got != c.want {
			t.Errorf("%v by %v to %v: %v, want %v", c.a, c.b, c.y, got, c.want)
		}
	}
}

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
