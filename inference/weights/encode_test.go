package weights_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"gimbal/inference/device"
	"gimbal/inference/golden"
	"gimbal/inference/weights"
)

// ties reports whether w is, within rounding, in the middle of two codes.
func isTie(x float64) bool {
	for i := range 15 {
		middle := (float64(weights.NF4Code[i]) + float64(weights.NF4Code[i+1])) / 2
		if math.Abs(x-middle) < 1e-6 {
			return true
		}
	}
	return false
}

func TestNF4Reference(t *testing.T) {
	for _, c := range golden.Cases(t, "quant_linear") {
		w, _ := c.F32(t, "weight")
		wantScale, _ := c.F32(t, "nf4_absmax")
		want := c.Tensor(t, "nf4_packed").Data
		block := len(w) / len(wantScale)
		codes, absmax := make([]byte, len(want)), make([]float32, len(wantScale))
		weights.EncodeNF4(codes, absmax, w, block)
		golden.Check(t, c.Name+" absmax", absmax, wantScale, 0)
		for i, v := range w {
			shift := 4 * (1 - i%2)
			got, ref := codes[i/2]>>shift&15, want[i/2]>>shift&15
			if x := float64(v / absmax[i/block]); got != ref && !isTie(x) {
				t.Fatalf("%s: code %d of %v is %d, want %d", c.Name, i, x, got, ref)
			}
		}
		wantValues, _ := c.F32(t, "nf4_dequantized")
		values := make([]float32, len(w))
		weights.DecodeNF4(values, want, wantScale, block)
		golden.Check(t, c.Name+" decoded", values, wantValues, 1e-7)
	}
}

func TestINT8Reference(t *testing.T) {
	for _, c := range golden.Cases(t, "quant_linear") {
		w, _ := c.F32(t, "weight")
		wantScale, _ := c.F32(t, "int8_scale")
		want := c.Tensor(t, "int8")
		if want.DType != device.I8 {
			t.Fatalf("%s: int8 is %v", c.Name, want.DType)
		}
		codes, scale := make([]byte, len(w)), make([]float32, len(wantScale))
		weights.EncodeINT8(codes, scale, w)
		golden.Check(t, c.Name+" scale", scale, wantScale, 1e-7)
		cols := len(w) / len(scale)
		for i, v := range w {
			x := float64(v) / float64(wantScale[i/cols])
			tie := math.Abs(math.Abs(x-math.Trunc(x))-0.5) < 1e-4
			if codes[i] != want.Data[i] && !tie {
				t.Fatalf("%s: code %d of %v is %d, want %d", c.Name, i, x, int8(codes[i]), int8(want.Data[i]))
			}
		}
	}
}

// TestNF4Nearest compares the table's look-up with a search over all codes.
func TestNF4Nearest(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	w := []float32{1, -1, 0, math.SmallestNonzeroFloat32, -math.SmallestNonzeroFloat32, 0.9999999, -0.9999999}
	for range 20000 {
		w = append(w, 2*random.Float32()-1)
	}
	for i := range 15 {
		middle := (weights.NF4Code[i] + weights.NF4Code[i+1]) / 2
		for range 3 {
			w = append(w, middle)
			middle = math.Nextafter32(middle, 1)
		}
	}
	block := len(w) + len(w)%2
	nc, ns := weights.NF4Len(len(w), block)
	codes, absmax := make([]byte, nc), make([]float32, ns)
	weights.EncodeNF4(codes, absmax, w, block)
	for i, v := range w {
		got := codes[i/2] >> (4 * (1 - i%2)) & 15
		best := math.Inf(1)
		for _, c := range weights.NF4Code {
			best = min(best, math.Abs(float64(v)-float64(c)))
		}
		if d := math.Abs(float64(v) - float64(weights.NF4Code[got])); d > best+1e-7 {
			t.Errorf("%v has code %d, %v away; the nearest is %v away", v, got, d, best)
		}
	}
}

func TestShortAndBadBlocks(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(-1))
	for n := range 11 {
		for _, bad := range []float32{0, nan, inf, math.SmallestNonzeroFloat32, 1e38} {
			w := make([]float32, n)
			for i := range w {
				w[i] = bad
			}
			nc, ns := weights.NF4Len(n, 4)
			codes, absmax, got := make([]byte, nc), make([]float32, ns), make([]float32, n)
			weights.EncodeNF4(codes, absmax, w, 4)
			weights.DecodeNF4(got, codes, absmax, 4)
			check(t, "NF4", got, bad, 0)
			if n == 0 {
				continue
			}
			codes, scale := make([]byte, n), make([]float32, 1)
			weights.EncodeINT8(codes, scale, w)
			weights.DecodeINT8(got, codes, scale)
			check(t, "INT8", got, bad, 1e-6*math.Abs(float64(bad)))
		}
	}
}

func check(t *testing.T, what string, got []float32, want float32, tolerance float64) {
	t.Helper()
	finite := !math.IsNaN(float64(want)) && !math.IsInf(float64(want), 0)
	for i, g := range got {
		if finite != !math.IsNaN(float64(g)) || finite && math.Abs(float64(g)-float64(want)) > tolerance+2e-45 {
			t.Errorf("%s: value %d of %d: %v became %v", what, i, len(got), want, g)
		}
	}
}

func BenchmarkEncodeNF4(b *testing.B) {
	w := normal(1 << 20)
	codes, absmax := make([]byte, len(w)/2), make([]float32, len(w)/64)
	b.SetBytes(int64(4 * len(w)))
	for b.Loop() {
		weights.EncodeNF4(codes, absmax, w, 64)
	}
}

func BenchmarkDecodeNF4(b *testing.B) {
	w := normal(1 << 20)
	codes, absmax := make([]byte, len(w)/2), make([]float32, len(w)/64)
	weights.EncodeNF4(codes, absmax, w, 64)
	b.SetBytes(int64(4 * len(w)))
	for b.Loop() {
		weights.DecodeNF4(w, codes, absmax, 64)
	}
}

func BenchmarkEncodeINT8(b *testing.B) {
	w := normal(1 << 20)
	codes, scale := make([]byte, len(w)), make([]float32, 256)
	b.SetBytes(int64(4 * len(w)))
	for b.Loop() {
		weights.EncodeINT8(codes, scale, w)
	}
}

func BenchmarkDecodeINT8(b *testing.B) {
	w := normal(1 << 20)
	codes, scale := make([]byte, len(w)), make([]float32, 256)
	weights.EncodeINT8(codes, scale, w)
	b.SetBytes(int64(4 * len(w)))
	for b.Loop() {
		weights.DecodeINT8(w, codes, scale)
	}
}

func normal(n int) []float32 {
	random := rand.New(rand.NewPCG(3, 4))
	w := make([]float32, n)
	for i := range w {
		w[i] = float32(random.NormFloat64())
	}
	return w
}
