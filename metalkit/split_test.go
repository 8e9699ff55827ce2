//go:build !darwin

package metalkit

import (
	"testing"

	"gimbal/inference/device"
	"gimbal/inference/device/devicetest"
)

// limited is the software driver with runs of little work.
type limited struct{ *softDriver }

func (d *limited) limits() limits {
	l := d.softDriver.limits()
	l.work = 1
	return l
}

func TestSplit(t *testing.T) {
	drv, err := newSoftDriver(2, false)
	if err != nil {
		t.Fatal(err)
	}
	dev, err := open(&limited{softDriver: drv}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	devicetest.Run(t, dev, devicetest.Options{Product: productBound})
}

// TestSplitSame gives an operation in one run and in several, with everything that has
// rows, and wants the same bits.
func TestSplitSame(t *testing.T) {
	const rows, k, n = 3*splitRows + 5, 24, 16
	var results [2][]float32
	for i, most := range []float64{0, 2 * splitRows * k * n} {
		dev := openTest(t, Options{}).(*gpu)
		dev.limits.work = most
		x, w := allocMat(t, dev, device.F32, rows, k), allocMat(t, dev, device.F32, n, k)
		gate, add, y, o := allocMat(t, dev, device.F32, rows, n), allocMat(t, dev, device.F32, rows, n), allocMat(t, dev, device.F32, rows, n), allocMat(t, dev, device.F32, rows, n)
		for _, m := range []device.Mat{x, w, gate, add} {
			values := make([]float32, m.Rows*m.Cols)
			for j := range values {
				values[j] = float32(j*j%101)/50 - 1
			}
			fill(t, dev, m, values)
		}
		calls := 0
		err := dev.Do(t.Context(), "test", func(e device.Encoder) {
			e.Linear(device.Linear{X: x, W: device.DenseWeight(w), Y: y, Gate: gate.Row(0), Add: add})
			e.Attention(device.Attention{Q: y, K: add, V: gate, O: o, Heads: 2, Scale: 0.3})
			calls = len(dev.enc.calls)
		})
		if err != nil {
			t.Fatal(err)
		}
		if split := calls > 2; split != (most > 0) {
			t.Errorf("%d calls with a limit of %g", calls, most)
		}
		results[i] = make([]float32, 2*rows*n)
		for j, m := range []device.Mat{y, o} {
			if err := dev.Read(t.Context(), device.Bytes(results[i][j*rows*n:(j+1)*rows*n]), m.Buf); err != nil {
				t.Fatal(err)
			}
		}
	}
	for j, v := range results[0] {
		if v != results[1][j] {
			t.Fatalf("element %d is %g in one run and %g in several", j, v, results[1][j])
		}
	}
}
