package metalkit

import (
	"gimbal/inference/device"
	"gimbal/metalkit/internal/driver"
	"gimbal/metalkit/internal/tune"
)

// Flags of kernels/conv.metal.
const convBias, convAdd, convPrev0, convPrev1 = 1, 2, 4, 8

type convArgs struct {
	h, w, cin, frame                            uint32
	kt, kh, kw, strideT, stride, padH, padW, up uint32
	oh, ow, cout, yframe, addframe, ldw         uint32
	band                                        uint32
}

func (e *encoder) conv(c device.Conv) {
	const op = "Conv"
	x, y, add := e.frames(c.X), e.outFrames(c.Y), e.frames(c.Add)
	prev0, prev1 := e.frames(c.Prev[0]), e.frames(c.Prev[1])
	w, bias := e.in(c.W), e.in(c.Bias)
	pixels := c.Y.H * c.Y.W
	if !e.begin(op, c.Cost(), c.Y.T, pixels*c.Y.C, c.X.H*c.X.W*c.X.C, c.X.FrameStride, c.Y.FrameStride, c.W.Stride) ||
		!e.readable(op, x, w, add) || !e.writable(op, y) {
		return
	}
	for _, p := range []operand{prev0, prev1} {
		if !p.none() && p.dt != x.dt {
			e.unsupported(op, "a frame before an X of another type,", p.dt)
			return
		}
	}
	if c.KT*c.KH*c.KW > 1 {
		w = e.packFilters(c)
	}
	args := convArgs{
		h: uint32(c.X.H), w: uint32(c.X.W), cin: uint32(c.X.C), frame: x.ld,
		kt: uint32(c.KT), kh: uint32(c.KH), kw: uint32(c.KW), strideT: uint32(c.StrideT), stride: uint32(c.Stride),
		padH: uint32(c.PadH), padW: uint32(c.PadW),
		oh: uint32(c.Y.H), ow: uint32(c.Y.W), cout: uint32(c.Y.C), yframe: y.ld, addframe: add.ld, ldw: w.ld,
	}
	if c.Upsample {
		args.up = 1
	}
	f := filter{Conv: c, x: x, prev0: prev0, prev1: prev1, w: w, bias: bias, add: add, y: y, args: args}
	f.with = driver.Constants{A: x.dt, B: w.dt, C: add.dt, Y: y.dt, Aligned: aligned(c.X.C, x, prev0, prev1, w)}
	f.with.Flags = bias.flag(convBias) | add.flag(convAdd) | prev0.flag(convPrev0) | prev1.flag(convPrev1)
	e.splitConv(&f, e.variantOfConv(&f))
}

// filter is a Conv with its operands found.
type filter struct {
	device.Conv
	x, prev0, prev1, w, bias, add, y operand
	with                             driver.Constants
	args                             convArgs
}

func (f *filter) sizes() [4]int { return [4]int{f.Y.T, f.Y.H * f.Y.W, f.W.Cols, f.Y.C} }

// convolve records f by number v of the variants.
func (e *encoder) convolve(f *filter, v int) {
	e.variant = v
	t, pixels := e.dev.variants.conv[v], f.Y.H*f.Y.W
	wide, high := ceilDiv(f.Y.C, t.cols), ceilDiv(pixels, t.rows)
	// The taps of one frame read the same inputs over and over, from the caches. Those
	// of the frames before come from memory again where the caches do not keep them.
	frame := f.X.Bytes() / int64(f.X.T)
	if int64(f.KT)*frame > e.dev.cache {
		frame *= int64(f.KT)
	}
	s := bandsOf(high, wide, frame/int64(high), f.W.Bytes()/int64(wide), e.dev.cache)
	d := dispatch{
		kernel: t.kernel, with: f.with, groups: [3]int{wide * high, 1, f.Y.T}, threads: t.threads(),
		sizes:        f.sizes(),
		productFLOPs: float64(f.Cost().FLOPs), matmul2d: t.matmul2d, useful: float64(pixels) * float64(f.Y.C) / float64(wide*t.cols*high*t.rows),
		moved: int64(f.Y.T)*s.moved + f.Bias.Bytes() + f.Add.Bytes() + f.Y.Bytes(),
	}
	args := f.args
	args.band, _ = s.args()
	record(e, d, &args, f.x, f.prev0, f.prev1, f.w, f.bias, f.add, f.y)
}

// runs reports whether f can be run by t.
func (f *filter) runs(t tile) bool { return !t.matmul2d || f.with.Aligned != 0 }

// variantOfConv is the number of the variant to run f by. It is the same for any number
// of frames. matmul2d is taken where it is the fastest or forced, and never in another one's place.
func (e *encoder) variantOfConv(f *filter) int {
	all := e.dev.variants.conv
	fixed := fixedTile(all, f.Y.C)
	if e.forced.op == tune.Conv && f.runs(all[e.forced.variant]) {
		fixed = e.forced.variant
	}
	asked := fixed
	fixed = e.usable(fixed, len(all), func(v int) (string, bool) { return all[v].kernel, v == asked || !all[v].matmul2d })
	s := tune.Shape{Op: tune.Conv, Sizes: [4]int{f.Y.H, f.Y.W, f.Y.C, f.W.Cols}, With: f.with}
	s.With.Flags = 0
	if v, ok := e.chosen(s, fixed); ok {
		return v
	}
	return e.autotuneConv(*f, s, fixed)
}

func (e *encoder) autotuneConv(f filter, s tune.Shape, fixed int) int {
	a := autotune{op: f.Conv, shape: s, fixed: fixed}
	for i, t := range e.dev.variants.conv {
		if f.runs(t) {
			a.add(e, i, t.name, t.kernel)
		}
	}
	a.record = func(e *encoder, v int) { e.convolve(&f, v) }
	a.benchmark = func(e *encoder, v int) device.Mat {
		part, row := f, f.Y.W*f.Y.C
		if f.KT*f.KH*f.KW > 1 {
			part.w = e.packFilters(f.Conv) // the operation's own have not been yet
		}
		rows := benchmarkRows(f.Y.T*f.Y.H, row, f.Y.DType, 1)
		if most := e.flopsOfCommandBuffer(); most > 0 {
			rows = min(rows, max(1, int(most/float64(f.Cost().FLOPs)*float64(f.Y.T*f.Y.H))))
		}
		part.Y.T, part.Y.H = max(1, rows/f.Y.H), min(rows, f.Y.H)
		y := e.temp(f.Y.DType, part.Y.T, part.Y.H*row)
		part.y = e.in(y)
		part.args.oh, part.args.yframe = uint32(part.Y.H), part.y.ld
		if !f.add.none() {
			part.add, part.args.addframe, part.with.C = part.y, part.y.ld, part.y.dt
		}
		e.convolve(&part, v)
		return y
	}
	return e.autotune(a)
}

// convPack brings filters of elements of so many bytes from (channel, tap) to
// (tap, channel).
var convPack = map[int]string{1: "conv_pack_1", 2: "conv_pack_2", 4: "conv_pack_4"}

// packFilters returns c's filters with the channel innermost, as the kernel reads them.
func (e *encoder) packFilters(c device.Conv) operand {
	w, packed := e.in(c.W), e.in(e.temp(c.W.DType, c.W.Rows, c.W.Cols))
	args := struct{ cout, cin, taps, ldw uint32 }{uint32(c.W.Rows), uint32(c.X.C), uint32(c.KT * c.KH * c.KW), w.ld}
	record(e, elementwise(convPack[c.W.DType.Size()], driver.Constants{}, c.W.Rows, c.W.Cols, 2*c.W.Bytes()), &args, w, packed)
	return packed
}

// frames finds f in memory, as rows of whole frames.
func (e *encoder) frames(f device.Frames) operand { return e.in(frameRows(f)) }

// outFrames is frames for a destination.
func (e *encoder) outFrames(f device.Frames) operand { return e.out(frameRows(f)) }

func frameRows(f device.Frames) device.Mat {
	if f.IsZero() {
		return device.Mat{}
	}
	return device.Mat{Buf: f.Buf, DType: f.DType, Offset: f.Offset, Rows: f.T, Cols: f.H * f.W * f.C, Stride: f.FrameStride}
}
