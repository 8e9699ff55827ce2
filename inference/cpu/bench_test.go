package cpu

import (
	"context"
	"fmt"
	"math"
	"testing"
	"time"
	"unsafe"

	"gimbal/inference/device"
)

// rig is a device under measurement.
type rig struct {
	testing.TB
	device.Device
}

func open(tb testing.TB, threads int) rig {
	dev, err := Open(Options{Threads: threads})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { dev.Close() })
	return rig{tb, dev}
}

// buffer returns a buffer of small values of which no two neighbours are equal.
func (r rig) buffer(t device.DType, shape ...int) device.Buffer {
	r.Helper()
	b := r.zeros(t, shape...)
	raw := b.(*buffer).Bytes()
	switch t {
	case device.F32:
		v := unsafe.Slice((*float32)(unsafe.Pointer(&raw[0])), len(raw)/4)
		for i := range v {
			v[i] = float32(i*2654435761>>8%1000)/1000 - 0.5
		}
	case device.BF16:
		v := unsafe.Slice((*uint16)(unsafe.Pointer(&raw[0])), len(raw)/2)
		for i := range v {
			v[i] = uint16(0x3c00 + i*2654435761>>8%0x180)
		}
	default:
		for i := range raw {
			raw[i] = byte(i * 2654435761 >> 8)
		}
	}
	return b
}

func (r rig) zeros(t device.DType, shape ...int) device.Buffer {
	r.Helper()
	b, err := r.Alloc(device.Desc{Label: "bench", DType: t, Shape: shape})
	if err != nil {
		r.Fatal(err)
	}
	return b
}

func (r rig) mat(t device.DType, shape ...int) device.Mat { return device.AsMat(r.buffer(t, shape...)) }

func (r rig) do(f func(device.Encoder)) {
	r.Helper()
	if err := r.Do(context.Background(), "bench", f); err != nil {
		r.Fatal(err)
	}
}

// blasRate returns the flops a second of one plain threaded product Y = X·Wᵀ.
func (r rig) blasRate(m, k, n int) float64 {
	x, w, y := r.buffer(device.F32, m, k), r.buffer(device.F32, n, k), r.buffer(device.F32, m, n)
	defer x.Release()
	defer w.Release()
	defer y.Release()
	at := func(b device.Buffer, ld int) block { return block{b.(*buffer).Mem.p, ld} }
	blasThreads(len(r.Device.(*cpuDevice).workers))
	defer blasThreads(1)
	gemmT(64, n, k, at(x, k), at(w, k), 0, at(y, n))
	start := time.Now()
	gemmT(m, n, k, at(x, k), at(w, k), 0, at(y, n))
	return 2 * float64(m) * float64(k) * float64(n) / time.Since(start).Seconds()
}

// ratio runs f b.N times, each beside a plain product, and reports the best rate
// of flops and its share of BLAS's best: whatever else the machine does only slows.
func (r rig) ratio(b *testing.B, flops float64, f func(device.Encoder)) {
	r.do(f)
	var blas, own float64
	for b.Loop() {
		blas = max(blas, r.blasRate(3120, 1536, 8960))
		start := time.Now()
		r.do(f)
		own = max(own, flops/time.Since(start).Seconds())
	}
	b.ReportMetric(own/1e9, "GFLOP/s")
	b.ReportMetric(own/blas, "of-sgemm")
}

// BenchmarkQuantizedLinear compares products of the real feed-forward's size, one
// after the other, so that what else the machine does slows all of them: the best
// rate of each as a part of that with F32 weights.
func BenchmarkQuantizedLinear(b *testing.B) {
	const m, k, n = 3120, 5120, 13824
	r := open(b, 0)
	int8Weight := device.Weight{Out: n, In: k, Format: device.INT8, Data: r.mat(device.I8, n, k), Scale: r.mat(device.F32, n)}
	nf4Weight := device.Weight{Out: n, In: k, Data: r.mat(device.U8, n*k/2), Format: device.NF4, Block: 64,
		Code: r.mat(device.F32, 16), Scale: r.mat(device.F32, n*k/64)}
	x, y := r.mat(device.F32, m, k), r.mat(device.F32, m, n)
	type kind struct {
		name   string
		weight device.Weight
		best   float64 // seconds
	}
	kinds := []kind{
		{"f32", device.DenseWeight(r.mat(device.F32, n, k)), math.Inf(1)},
		{"bf16", device.DenseWeight(r.mat(device.BF16, n, k)), math.Inf(1)},
		{"int8", int8Weight, math.Inf(1)},
		{"nf4", nf4Weight, math.Inf(1)},
		{"f16", device.DenseWeight(r.mat(device.F16, n, k)), math.Inf(1)},
		{"f8_e4m3", device.DenseWeight(r.mat(device.F8E4M3, n, k)), math.Inf(1)},
		{"f8_e5m2", device.DenseWeight(r.mat(device.F8E5M2, n, k)), math.Inf(1)},
		{"fp8", device.Weight{Out: n, In: k, Format: device.FP8, Data: r.mat(device.F8E4M3, n, k), Scale: r.mat(device.F32, n)}, math.Inf(1)},
	}
	for _, f := range device.BlockFormats() {
		data := device.AsMat(r.zeros(device.U8, n, f.RowBytes(k))) // any bytes could be scales that are no numbers
		kinds = append(kinds, kind{f.String(), device.Weight{Out: n, In: k, Format: f, Data: data}, math.Inf(1)})
	}
	for b.Loop() {
		for i := range kinds {
			start := time.Now()
			r.do(func(e device.Encoder) { e.Record(device.Linear{X: x, W: kinds[i].weight, Y: y}) })
			kinds[i].best = min(kinds[i].best, time.Since(start).Seconds())
		}
	}
	b.ReportMetric(2*m*k*n/kinds[0].best/1e9, "f32-GFLOP/s")
	for _, kind := range kinds[1:] {
		b.ReportMetric(kinds[0].best/kind.best, kind.name+"-of-f32")
	}
}

func BenchmarkLinear(b *testing.B) {
	const m, k, n = 3120, 1536, 8960
	for _, t := range []device.DType{device.F32, device.BF16, device.I8, device.U8} {
		b.Run(t.String(), func(b *testing.B) {
			r := open(b, 0)
			w := device.Weight{Out: n, In: k}
			switch t {
			case device.U8: // NF4
				w.Data, w.Format, w.Block = r.mat(t, n*k/2), device.NF4, 64
				w.Code, w.Scale = r.mat(device.F32, 16), r.mat(device.F32, n*k/64)
			case device.I8:
				w.Format, w.Data, w.Scale = device.INT8, r.mat(t, n, k), r.mat(device.F32, n)
			default:
				w.Data = r.mat(t, n, k)
			}
			op := device.Linear{X: r.mat(device.F32, m, k), Y: r.mat(device.F32, m, n), W: w, Bias: r.mat(device.F32, n), Act: device.GELU}
			r.ratio(b, 2*m*k*n, func(e device.Encoder) { e.Record(op) })
		})
	}
}

// BenchmarkSkinny measures one row against weights larger than the caches, as
// bytes of weights a second.
func BenchmarkSkinny(b *testing.B) {
	const k, n = 5120, 13824
	for _, t := range []device.DType{device.F32, device.BF16, device.I8} {
		b.Run(t.String(), func(b *testing.B) {
			r := open(b, 0)
			w := device.Weight{Out: n, In: k, Data: r.mat(t, n, k)}
			if t == device.I8 {
				w.Format, w.Scale = device.INT8, r.mat(device.F32, n)
			}
			op := device.Linear{X: r.mat(device.F32, 1, k), Y: r.mat(device.F32, 1, n), W: w}
			b.SetBytes(int64(n * k * t.Size()))
			for b.Loop() {
				r.do(func(e device.Encoder) { e.Record(op) })
			}
		})
	}
}

func BenchmarkAttention(b *testing.B) {
	for _, c := range []struct{ n, heads, d int }{{3120, 12, 128}, {1560, 1, 384}} {
		b.Run(fmt.Sprintf("%dx%dx%d", c.n, c.heads, c.d), func(b *testing.B) {
			r := open(b, 0)
			cols := c.heads * c.d
			op := device.Attention{Q: r.mat(device.F32, c.n, cols), K: r.mat(device.F32, c.n, cols), V: r.mat(device.F32, c.n, cols),
				O: r.mat(device.F32, c.n, cols), Heads: c.heads, Scale: 0.088}
			r.ratio(b, 4*float64(c.n)*float64(c.n)*float64(cols), func(e device.Encoder) { e.Record(op) })
		})
	}
}

func BenchmarkConv(b *testing.B) {
	for _, c := range []struct{ h, w, cin, cout int }{
		{240, 416, 96, 96}, {120, 208, 192, 192}, {60, 104, 384, 384}, {30, 52, 384, 384}, {240, 416, 96, 3},
	} {
		b.Run(fmt.Sprintf("%dx%d,%d-%d", c.h, c.w, c.cin, c.cout), func(b *testing.B) {
			r := open(b, 0)
			frame := func(n, c2 int) device.Frames { return device.AsFrames(r.buffer(device.F32, n, c.h, c.w, c2)) }
			op := device.Conv{X: frame(1, c.cin), Prev: [2]device.Frames{frame(1, c.cin), frame(1, c.cin)}, W: r.mat(device.F32, c.cout, c.cin*27),
				KT: 3, KH: 3, KW: 3, StrideT: 1, Stride: 1, PadH: 1, PadW: 1, Bias: r.mat(device.F32, c.cout), Y: frame(1, c.cout)}
			r.ratio(b, 2*27*float64(c.cin*c.cout*c.h*c.w), func(e device.Encoder) { e.Record(op) })
		})
	}
}

// BenchmarkMemory measures the operations that memory bounds, as bytes read and
// written a second.
func BenchmarkMemory(b *testing.B) {
	r := open(b, 0)
	const rows, cols = 40000, 384
	x, y, z := r.mat(device.F32, rows, cols), r.mat(device.F32, rows, cols), r.mat(device.F32, rows, cols)
	w := r.mat(device.F32, cols)
	turn := r.mat(device.F32, rows, 64)
	for _, op := range []struct {
		name    string
		streams int
		f       func(device.Encoder)
	}{
		{"Move", 2, func(e device.Encoder) { e.Record(device.Move{X: x, Y: y}) }},
		{"SiLU", 2, func(e device.Encoder) { e.Record(device.Unary{X: x, Y: y, F: device.SiLU}) }},
		{"GELU", 2, func(e device.Encoder) { e.Record(device.Unary{X: x, Y: y, F: device.GELU}) }},
		{"Binary", 3, func(e device.Encoder) { e.Record(device.Binary{A: x, B: y, Y: z, Op: device.Mul}) }},
		{"RMSNorm,SiLU", 2, func(e device.Encoder) {
			e.Record(device.Norm{X: x, Y: y, Kind: device.RMSNorm, Weight: w, Act: device.SiLU})
		}},
		{"LayerNorm", 2, func(e device.Encoder) { e.Record(device.Norm{X: x, Y: y, Kind: device.LayerNorm, Scale: w, Shift: w}) }},
		{"Rope", 2, func(e device.Encoder) {
			e.Record(device.Rope{X: x, Y: y, Heads: 3, Cos: turn, Sin: turn, Weight: w, Eps: 1e-6})
		}},
		{"Transpose", 2, func(e device.Encoder) {
			t := device.AsMat(y.Buf)
			t.Rows, t.Cols, t.Stride = cols, rows, rows
			e.Record(device.Move{X: x, Y: t, Transpose: true})
		}},
	} {
		b.Run(op.name, func(b *testing.B) {
			b.SetBytes(int64(op.streams * rows * cols * 4))
			for b.Loop() {
				r.do(op.f)
			}
		})
	}
}
