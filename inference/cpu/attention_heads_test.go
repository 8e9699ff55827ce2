package cpu

import (
	"fmt"
	"math"
	"testing"

	"gimbal/inference/device"
)

// TestWideHeads compares the loop for wide heads with products by BLAS: panels and steps that
// are not full, several tiles of keys, keys that do not count, operands of 16 bits.
func TestWideHeads(t *testing.T) {
	if wideHead == 0 {
		t.Skip("not for this processor")
	}
	const heads = 2
	for _, c := range []struct {
		queries, keys, hidden int
		in                    device.DType
	}{
		{1, 1, 0, device.F32}, {31, 7, 0, device.F32}, {33, 129, 0, device.F32}, {100, 1100, 0, device.F32},
		{64, 700, 650, device.F32}, {40, 530, 0, device.BF16}, {1030, 9, 3, device.BF16}, {150, 100, 0, device.F32},
	} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			r := open(t, 2)
			a := device.Attention{
				Q: r.mat(c.in, c.queries, heads*wideHead), K: r.mat(c.in, c.keys, heads*wideHead), V: r.mat(c.in, c.keys, heads*wideHead),
				O: r.mat(device.F32, c.queries, heads*wideHead), Heads: heads, Scale: 0.09, KeyBias: r.mat(device.F32, 1, c.keys),
			}
			for i := range c.hidden {
				r.row(a.KeyBias)[i] = float32(math.Inf(-1))
			}
			got := r.attention(a)
			defer func(was int) { wideHead = was }(wideHead)
			wideHead = 0
			for i, want := range r.attention(a) {
				if d := math.Abs(float64(got[i] - want)); !(d <= 2e-6) {
					t.Fatalf("element %d is %g, by BLAS %g", i, got[i], want)
				}
			}
		})
	}
}

// TestWideHeadsKeepNaN makes sure that a query that is no number spoils its own row alone.
func TestWideHeadsKeepNaN(t *testing.T) {
	r := open(t, 1)
	a := device.Attention{Q: r.mat(device.F32, 40, 128), K: r.mat(device.F32, 200, 128), V: r.mat(device.F32, 200, 128), O: r.mat(device.F32, 40, 128), Heads: 1, Scale: 0.09}
	r.row(a.Q)[5*128+3] = float32(math.NaN())
	for i, v := range r.attention(a) {
		if bad := i/128 == 5; bad != math.IsNaN(float64(v)) {
			t.Fatalf("row %d has %g", i/128, v)
		}
	}
}

// attention returns a copy of what a gives.
func (r rig) attention(a device.Attention) []float32 {
	r.Helper()
	r.do(func(e device.Encoder) { e.Record(a) })
	return append([]float32(nil), r.row(a.O)...)
}

// row returns the elements of an F32 matrix.
func (r rig) row(m device.Mat) []float32 {
	b := m.Buf.(*buffer)
	return floats(b.Mem.p, len(b.Bytes())/4)
}
