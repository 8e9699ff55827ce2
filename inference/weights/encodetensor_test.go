package weights_test

import (
	"bytes"
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"gimbal/inference/device"
	"gimbal/inference/weights"
)

// bf16 returns a matrix of normal values in bf16, and the values.
func bf16(rows, cols int) (weights.Tensor, []float32) {
	w := normal(rows * cols)
	data := make([]byte, 2*len(w))
	for i, v := range w {
		bits := math.Float32bits(v)
		data[2*i], data[2*i+1] = byte(bits>>16), byte(bits>>24)
		w[i] = math.Float32frombits(bits &^ 0xffff)
	}
	return weights.Tensor{Name: "w", DType: device.BF16, Shape: []int{rows, cols}, Data: data}, w
}

// TestTensor compares quantisation on all cores with that of the values in a row,
// at sizes that fall short of a job, a block and a byte.
func TestTensor(t *testing.T) {
	for _, shape := range [][2]int{{1, 2}, {1, 127}, {3, 5462}, {7, 4681}, {257, 130}, {1, 1 << 16}, {1 << 16, 1}} {
		x, w := bf16(shape[0], shape[1])
		nc, ns := weights.NF4Len(len(w), weights.NF4Block)
		got, want := make([]byte, nc), make([]byte, nc)
		gotScale, wantScale := make([]float32, ns), make([]float32, ns)
		if err := weights.NF4Tensor(t.Context(), got, gotScale, x); err != nil {
			t.Fatal(err)
		}
		weights.EncodeNF4(want, wantScale, w, weights.NF4Block)
		if !bytes.Equal(got, want) || !slices.Equal(gotScale, wantScale) {
			t.Errorf("NF4 of %v differs", shape)
		}
		got, want = make([]byte, len(w)), make([]byte, len(w))
		gotScale, wantScale = make([]float32, shape[0]), make([]float32, shape[0])
		if err := weights.INT8Tensor(t.Context(), got, gotScale, x); err != nil {
			t.Fatal(err)
		}
		for i := range gotScale {
			gotScale[i] /= 127
		}
		weights.EncodeINT8(want, wantScale, w)
		if !bytes.Equal(got, want) || !slices.Equal(gotScale, wantScale) {
			t.Errorf("INT8 of %v differs", shape)
		}
	}
	x, _ := bf16(64, 64)
	codes, absmax := make([]byte, 64*32), make([]float32, 64)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := weights.NF4Tensor(ctx, codes, absmax, x); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	x.DType = device.I8
	x.Data = x.Data[:64*64]
	if err := weights.NF4Tensor(t.Context(), codes, absmax, x); err == nil {
		t.Error("integers are quantised")
	}
}

// TestNestedCode compares the codes with what defines them: ascending, with the
// same values of both signs but for 1, and 2^i of them in each decade.
func TestNestedCode(t *testing.T) {
	code := weights.NestedCode
	if !slices.IsSorted(code[:]) || code[255] != 1 || code[127] != 0 {
		t.Errorf("codes %v", code)
	}
	for i := range 127 {
		if code[i] != -code[254-i] {
			t.Errorf("codes %v and %v", code[i], code[254-i])
		}
	}
	for i, decade := range []float32{1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1} {
		n := 0
		for _, c := range code[:255] {
			if c > decade/10 && c < decade {
				n++
			}
		}
		if n != 1<<i {
			t.Errorf("%d codes below %v, want %d", n, decade, 1<<i)
		}
	}
}

// TestNested checks that every scale gets the nearest code.
func TestNested(t *testing.T) {
	random := rand.New(rand.NewPCG(8, 9))
	for _, n := range []int{0, 1, 255, 256, 257, 1000} {
		for _, spread := range []float32{0, 1e-30, 0.3, 1e30} {
			absmax := make([]float32, n)
			for i := range absmax {
				absmax[i] = 2 + spread*random.Float32()
			}
			codes, nested, got := make([]byte, n), make([]float32, (n+weights.NestedBlock-1)/weights.NestedBlock), make([]float32, n)
			offset := weights.EncodeNested(codes, nested, absmax)
			weights.DecodeNested(got, codes, nested, offset)
			for i, a := range absmax {
				scale := nested[i/weights.NestedBlock]
				best := math.Inf(1)
				for _, c := range weights.NestedCode {
					best = min(best, math.Abs(float64(a)-float64(c*scale+offset)))
				}
				if d := math.Abs(float64(a) - float64(got[i])); d > best*(1+1e-5)+1e-6*float64(a) {
					t.Fatalf("%d scales, spread %v: %v became %v, %v away; the nearest is %v away", n, spread, a, got[i], d, best)
				}
			}
		}
	}
}

// benchmarkLayer quantises a layer of the real size, of bf16, on all cores.
func benchmarkLayer(b *testing.B, f func(t weights.Tensor) error) {
	rows, cols := 13824, 5120
	x, _ := bf16(1, 1<<20)
	x.Data = bytes.Repeat(x.Data, (rows*cols)>>20+1)[:2*rows*cols]
	x.Shape = []int{rows, cols}
	b.SetBytes(int64(len(x.Data)))
	for b.Loop() {
		if err := f(x); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLayerNF4(b *testing.B) {
	codes, absmax := make([]byte, 13824*5120/2), make([]float32, 13824*5120/weights.NF4Block)
	benchmarkLayer(b, func(t weights.Tensor) error { return weights.NF4Tensor(b.Context(), codes, absmax, t) })
}

func BenchmarkLayerNF4Nested(b *testing.B) {
	codes, absmax := make([]byte, 13824*5120/2), make([]float32, 13824*5120/weights.NF4Block)
	codes8, nested := make([]byte, len(absmax)), make([]float32, len(absmax)/weights.NestedBlock+1)
	benchmarkLayer(b, func(t weights.Tensor) error {
		err := weights.NF4Tensor(b.Context(), codes, absmax, t)
		weights.EncodeNested(codes8, nested[:(len(absmax)+weights.NestedBlock-1)/weights.NestedBlock], absmax)
		return err
	})
}

func BenchmarkLayerINT8(b *testing.B) {
	codes, absmax := make([]byte, 13824*5120), make([]float32, 13824)
	benchmarkLayer(b, func(t weights.Tensor) error { return weights.INT8Tensor(b.Context(), codes, absmax, t) })
}

// BenchmarkTensor quantises one layer of the real size on all cores: GB/s is of
// bf16 input by the clock, GB/s-core by the processor time that it took, which other
// programs on the machine do not change.
func BenchmarkTensor(b *testing.B) {
	const rows, cols = 13824, 5120
	x, _ := bf16(rows/16, cols)
	x.Data = bytes.Repeat(x.Data, 16)
	codes, absmax := make([]byte, rows*cols), make([]float32, rows*cols/weights.NF4Block)
	for name, encode := range map[string]func() error{
		"nf4":  func() error { return weights.NF4Tensor(b.Context(), codes[:rows*cols/2], absmax, x) },
		"int8": func() error { return weights.INT8Tensor(b.Context(), codes, absmax[:rows], x) },
	} {
		b.Run(name, func(b *testing.B) {
			began := processorTime(b)
			for b.Loop() {
				if err := encode(); err != nil {
					b.Fatal(err)
				}
			}
			bytes := float64(b.N) * float64(len(x.Data)) / 1e9
			b.ReportMetric(bytes/b.Elapsed().Seconds(), "GB/s")
			b.ReportMetric(bytes/(processorTime(b)-began), "GB/s-core")
		})
	}
}

// processorTime returns the seconds that this process has computed.
func processorTime(b *testing.B) float64 {
	b.Helper()
	var use unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &use); err != nil {
		b.Fatal(err)
	}
	return float64(use.Utime.Nano()+use.Stime.Nano()) / 1e9
}
