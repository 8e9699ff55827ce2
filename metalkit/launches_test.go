package metalkit

import (
	"reflect"
	"testing"

	"gimbal/inference/device"
	"gimbal/metalkit/internal/driver"
	"gimbal/metalkit/internal/tune"
)

// launch is one dispatch as the host makes it.
type launch struct {
	kernel            string
	args              reflect.Type
	operands, threads int
	matmul2d          bool
}

// launches records, over a driver that runs nothing, every operation by every variant in every
// type, and returns all different dispatches.
func launches(t *testing.T) map[launch]bool {
	t.Helper()
	all := map[launch]bool{}
	for _, c := range computes {
		dev := openOver(t, &nullDriver{max: driver.Limits{WorkingSet: 1 << 30, Matmul2D: true}}, Options{Compute: c.dtype})
		r := recorder{t, observed{dev, func(_ string, plan []planned) {
			for i, p := range plan {
				all[launch{p.kernel, p.args, int(dev.enc.dispatches[i].Buffers), p.threads, p.matmul2d}] = true
			}
		}}, c.dtype}
		r.elementwise()
		r.moves()
		r.linears()
		r.attentions()
		r.convs()
	}
	return all
}

// recorder records on dev, which multiplies in compute.
type recorder struct {
	*testing.T
	dev     observed
	compute device.DType
}

func (r recorder) mat(dtype device.DType, rows, cols int) device.Mat {
	r.Helper()
	return allocMat(r.T, r.dev, dtype, rows, cols)
}

func (r recorder) do(f func(device.Encoder)) {
	r.Helper()
	if err := r.dev.Do(r.Context(), "test", f); err != nil {
		r.Fatal(err)
	}
}

// by records by a variant.
func (r recorder) by(v forced, f func(device.Encoder)) {
	r.Helper()
	r.do(func(e device.Encoder) {
		r.dev.enc.forced = v
		f(e)
	})
}

func (r recorder) elementwise() {
	x, y, angles := r.mat(device.F32, 8, 8), r.mat(device.F32, 8, 8), r.mat(device.F32, 8, 4)
	wide := r.mat(device.F32, 1, narrowCols+1)
	r.do(func(e device.Encoder) {
		e.Record(device.Unary{X: x, Y: y, F: device.SiLU})
		e.Record(device.Binary{A: x, B: x, Y: y, Op: device.Add})
		e.Record(device.GatedAdd{A: x, Gate: x, B: x, Y: y})
		e.Record(device.Norm{X: x, Y: y, Kind: device.RMSNorm})
		e.Record(device.Norm{X: wide, Y: wide, Kind: device.RMSNorm})
		e.Record(device.Rope{X: x, Y: y, Heads: 1, Cos: angles, Sin: angles})
	})
}

// moves copies between equal types of every size, and converts.
func (r recorder) moves() {
	ids := r.mat(device.I32, 1, 8)
	for _, types := range [][2]device.DType{
		{device.U8, device.U8}, {device.F16, device.F16}, {device.F32, device.F32}, {device.I64, device.I64}, {device.F16, device.F32},
	} {
		x, y := r.mat(types[0], 8, 8), r.mat(types[1], 8, 8)
		r.do(func(e device.Encoder) {
			e.Record(device.Move{X: x, Y: y})
			e.Record(device.Move{X: x, Y: y, Transpose: true})
			e.Record(device.Gather{Table: x, IDs: ids, Y: y})
		})
	}
}

func (r recorder) linears() {
	const m, n, k = 64, 64, 64
	x, y := r.mat(r.compute, m, k), r.mat(device.F32, m, n)
	dense := device.DenseWeight(r.mat(r.compute, n, k))
	int8s := device.Weight{Format: device.INT8, Data: r.mat(device.I8, n, k), Out: n, In: k, Scale: r.mat(device.F32, 1, n)}
	r.do(func(e device.Encoder) { e.Record(device.Linear{X: x.Row(0), W: dense, Y: y.Row(0)}) })
	for i := range linearVariants() {
		r.by(forced{tune.Linear, i}, func(e device.Encoder) {
			e.Record(device.Linear{X: x, W: dense, Y: y, Act: device.GELU})
			e.Record(device.Linear{X: x, W: int8s, Y: y})
		})
	}
}

func (r recorder) attentions() {
	const keys = 64
	for i, f := range r.dev.variants.attention {
		cols := f.width
		if f.sliced {
			cols *= 2
		}
		q, k, o := r.mat(device.F32, 8, cols), r.mat(r.compute, keys, cols), r.mat(device.F32, 8, cols)
		r.by(forced{tune.Attention, i}, func(e device.Encoder) { e.Record(device.Attention{Q: q, K: k, V: k, O: o, Heads: 1, Scale: 1}) })
	}
}

// convs takes filters of every size that an element may have.
func (r recorder) convs() {
	const frames, width, channels = 1, 4, 8
	of := func(m device.Mat) device.Frames {
		return device.Frames{Buf: m.Buf, DType: m.DType, T: frames, H: 1, W: width, C: channels, FrameStride: width * channels}
	}
	x, y := of(r.mat(device.F32, width, channels)), of(r.mat(device.F32, width, channels))
	for i := range r.dev.variants.conv {
		for _, dtype := range []device.DType{device.F32, device.F16, device.F8E4M3} {
			w := r.mat(dtype, channels, 2*channels)
			r.by(forced{tune.Conv, i}, func(e device.Encoder) {
				e.Record(device.Conv{X: x, Y: y, W: w, KT: 1, KH: 1, KW: 2, PadW: 1, StrideT: 1, Stride: 1})
			})
		}
	}
}
