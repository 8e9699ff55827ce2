//go:build !darwin

package metalkit

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"gimbal/inference/device"
)

// TestFactors stores the factors of products in the type of Info and in F32: the
// products have the same bits.
func TestFactors(t *testing.T) {
	for _, compute := range []device.DType{device.F16, device.BF16} {
		dev := openTest(t, Options{Compute: compute})
		if got := dev.Info().ComputeType; got != compute {
			t.Errorf("products in %v have factors in %v", compute, got)
		}
		const m, n, k = 70, 130, 96
		x, hidden := allocMat(t, dev, device.F32, m, k), allocMat(t, dev, device.F32, m, k)
		wide, narrow := allocMat(t, dev, device.F32, m, k), allocMat(t, dev, compute, m, k)
		first, second := allocMat(t, dev, device.BF16, k, k), allocMat(t, dev, device.BF16, n, k)
		y := [2]device.Mat{allocMat(t, dev, device.F32, m, n), allocMat(t, dev, device.F32, m, n)}
		rng := rand.New(rand.NewPCG(5, 6))
		for _, to := range []device.Mat{x, first, second} {
			values := make([]float32, to.Rows*to.Cols)
			for i := range values {
				values[i] = float32(rng.NormFloat64())
			}
			fill(t, dev, to, values)
		}
		var got [2][]byte
		for i, h := range []device.Mat{wide, narrow} {
			err := dev.Do(t.Context(), "test", func(e device.Encoder) {
				e.Record(device.Norm{X: x, Y: h, Kind: device.LayerNorm, Eps: 1e-6})
				e.Record(device.Linear{X: h, W: device.DenseWeight(first), Y: hidden, Act: device.GELU})
				e.Record(device.Linear{X: hidden, W: device.DenseWeight(first), Y: h, Act: device.SiLU})
				e.Record(device.Linear{X: h, W: device.DenseWeight(second), Y: y[i]})
			})
			if err != nil {
				t.Fatal(err)
			}
			got[i] = make([]byte, 4*m*n)
			if err := dev.Read(t.Context(), got[i], y[i].Buf); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(got[0], got[1]) {
			t.Errorf("factors in %v change the products", compute)
		}
	}
	for _, compute := range []device.DType{device.F16, device.BF16} {
		attendIn(t, openTest(t, Options{Compute: compute}), compute)
	}
	if got := openTest(t, Options{}).Info().ComputeType; got != 0 {
		t.Errorf("products in F32 have factors in %v", got)
	}
}

// attendIn compares an attention over operands in F32 with one over the same ones in the type that
// the device multiplies in, bit by bit.
func attendIn(t *testing.T, dev *gpu, compute device.DType) {
	t.Helper()
	const tokens, heads, head = 75, 2, 64
	rng := rand.New(rand.NewPCG(7, 8))
	var operands [2][3]device.Mat
	for i := range operands[0] {
		values := make([]float32, tokens*heads*head)
		for j := range values {
			values[j] = float32(rng.NormFloat64())
		}
		for kind, dtype := range []device.DType{device.F32, compute} {
			operands[kind][i] = allocMat(t, dev, dtype, tokens, heads*head)
		}
		fill(t, dev, operands[0][i], values)
	}
	var got [2][]byte
	for kind, qkv := range operands {
		out := allocMat(t, dev, device.F32, tokens, heads*head)
		err := dev.Do(t.Context(), "test", func(e device.Encoder) {
			for i := range qkv {
				if kind == 1 {
					e.Record(device.Move{X: operands[0][i], Y: qkv[i]})
				}
			}
			e.Record(device.Attention{Q: qkv[0], K: qkv[1], V: qkv[2], O: out, Heads: heads, Scale: 0.125})
		})
		if err != nil {
			t.Fatal(err)
		}
		got[kind] = make([]byte, 4*tokens*heads*head)
		if err := dev.Read(t.Context(), got[kind], out.Buf); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(got[0], got[1]) {
		t.Errorf("queries, keys and values in %v change the attention", compute)
	}
}
