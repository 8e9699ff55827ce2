package cpu

import (
	"math"
	"testing"

	"gimbal/inference/device"
)

// TestWideProducts compares the loops for large products with BLAS: tiles, panels, groups and
// depths that are not full, and operands that are widened or narrowed.
func TestWideProducts(t *testing.T) {
	if !wideProducts {
		t.Skip("not for this processor")
	}
	const m, n, k = 1063, 603, 2048 + 256
	r := open(t, 2)
	f32, bf16 := device.F32, device.BF16
	dense := func(d device.DType, k int) device.Weight { return device.DenseWeight(r.mat(d, n, k)) }
	x := func(d device.DType, k int) device.Mat { return r.mat(d, m, k) }
	y := func(d device.DType) device.Mat { return device.AsMat(r.zeros(d, m, n)) }
	residual := y(f32)
	q6k := r.mat(device.U8, n, device.Q6_K.RowBytes(k))
	for i := 208; i < n*device.Q6_K.RowBytes(k); i += 210 { // a block's scale, 1/16
		copy(q6k.Buf.(*buffer).Bytes()[i:], []byte{0, 0x2c})
	}
	for name, op := range map[string]device.Linear{
		"plain":    {X: x(f32, k), W: dense(f32, k), Y: y(f32)},
		"odd":      {X: x(f32, k-239), W: dense(bf16, k-239), Y: y(f32), Bias: r.mat(f32, n), Act: device.GELU},
		"16 bits":  {X: x(bf16, k), W: dense(bf16, k), Y: y(bf16), Add: r.mat(bf16, m, n)},
		"residual": {X: x(f32, k), W: dense(f32, k), Y: residual, Add: residual, Gate: r.mat(f32, n)},
		"INT8":     {X: x(f32, k), Y: y(f32), W: device.Weight{Out: n, In: k, Format: device.INT8, Data: r.mat(device.I8, n, k), Scale: r.mat(f32, n)}},
		"NF4": {X: x(f32, k), Y: y(f32), W: device.Weight{Out: n, In: k, Format: device.NF4, Block: 48, Data: r.mat(device.U8, n*k/2),
			Code: r.mat(f32, 16), Scale: r.mat(f32, n*k/48)}},
		"Q6_K": {X: x(f32, k), Y: y(f32), W: device.Weight{Out: n, In: k, Format: device.Q6_K, Data: q6k}},
	} {
		t.Run(name, func(t *testing.T) {
			if !large(m, n, op.X.Cols) {
				t.Fatal("too small for these loops")
			}
			got := r.product(op)
			defer func() { wideProducts = true }()
			wideProducts = false
			want := r.product(op)
			var off, size float64
			for i := range want {
				d := float64(got[i] - want[i])
				off += d * d
				size += float64(want[i]) * float64(want[i])
			}
			if e := math.Sqrt(off / size); !(e <= 1e-6) && !(op.Y.DType == bf16 && e <= 1e-3) {
				t.Errorf("relative error %g against BLAS", e)
			}
		})
	}
}

// product returns what l gives in place of ones.
func (r rig) product(l device.Linear) []float32 {
	r.Helper()
	y := device.AsMat(r.zeros(device.F32, l.Y.Rows, l.Y.Cols))
	for i := range r.row(y) {
		r.row(y)[i] = 1
	}
	r.do(func(e device.Encoder) {
		e.Record(device.Move{X: y, Y: l.Y})
		e.Record(l)
		e.Record(device.Move{X: l.Y, Y: y})
	})
	return r.row(y)
}
