package metalkit

import "gimbal/inference/device"

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
	f.with = constants{a: x.dt, b: w.dt, c: add.dt, y: y.dt, aligned: aligned(c.X.C, x, prev0, prev1, w)}
	f.with.flags = bias.flag(convBias) | add.flag(convAdd) | prev0.flag(convPrev0) | prev1.flag(convPrev1)
	e.splitConv(&f, e.variantOfConv(&f))
}

// filter is a Conv with its operands found.
type filter struct {
	device.Conv
	x, prev0, prev1, w, bias, add, y operand
	with                             constants
	args                             convArgs
}

func (f *filter) sizes() [4]int { return [4]int{f.Y.T, f.Y.H * f.Y.W, f.W.Cols, f.Y.C} }

// convolve records f by number v of convTiles.
func (e *encoder) convolve(f *filter, v int) {
	t, pixels := convTiles[v], f.Y.H*f.Y.W
	wide, high := ceilDiv(f.Y.C, t.cols), ceilDiv(pixels, t.rows)
	// The taps of one frame read the same inputs over and over, from the caches. Those
	// of the frames before come from memory again where the caches do not keep them.
	frame := f.X.Bytes() / int64(f.X.T)
	if int64(f.KT)*frame > e.dev.cache {
		frame *= int64(f.KT)
	}
	o := bandOf(high, wide, frame/int64(high), f.W.Bytes()/int64(wide), e.dev.cache)
	d := dispatch{
		kernel: e.dev.compute.conv[v], with: f.with, groups: [3]int{wide * high, 1, f.Y.T}, threads: t.threads(),
		sizes: f.sizes(),
		work:  float64(f.Cost().FLOPs), area: float64(pixels) * float64(f.Y.C) / float64(wide*t.cols*high*t.rows),
		moved: int64(f.Y.T)*o.moved + f.Bias.Bytes() + f.Add.Bytes() + f.Y.Bytes(),
	}
	args := f.args
	args.band = uint32(o.band)
	record(e, d, &args, f.x, f.prev0, f.prev1, f.w, f.bias, f.add, f.y)
}

// variantOfConv is the number in convTiles to run f by. It is the same for any number
// of frames.
func (e *encoder) variantOfConv(f *filter) int {
	fixed := fixedTile(convTiles, f.Y.C)
	if v := e.dev.favoured.conv; v >= 0 {
		fixed = v
	}
	if e.dev.tuner == nil {
		return fixed
	}
	s := shape{op: opConv, sizes: [4]int{f.Y.H, f.Y.W, f.Y.C, f.W.Cols}, with: f.with}
	s.with.flags = 0
	if v, ok := e.dev.tuner.chosen(s); ok {
		return v
	}
	return e.timeConv(*f, s, fixed)
}

func (e *encoder) timeConv(f filter, s shape, fixed int) int {
	c := contest{fixed: fixed}
	for i, t := range convTiles {
		c.add(i, t.name(device.BF16))
	}
	c.record = func(e *encoder, v int) { e.convolve(&f, v) }
	c.trial = func(trial *encoder, v int) {
		t, row := f, f.Y.W*f.Y.C
		rows := trialRows(f.Y.T*f.Y.H, row, f.Y.DType, 1)
		t.Y.T, t.Y.H = max(1, rows/f.Y.H), min(rows, f.Y.H)
		t.y = trial.in(trial.temp(f.Y.DType, t.Y.T, t.Y.H*row))
		t.args.oh, t.args.yframe = uint32(t.Y.H), t.y.ld
		if !f.add.none() {
			t.add, t.args.addframe, t.with.c = t.y, t.y.ld, t.y.dt
		}
		trial.convolve(&t, v)
	}
	return e.time(s, c)
}

// convPack brings filters of elements of so many bytes from (channel, tap) to
// (tap, channel).
var convPack = map[int]string{1: "conv_pack_1", 2: "conv_pack_2", 4: "conv_pack_4"}

// packFilters returns c's filters with the channel innermost, as the kernel reads them.
func (e *encoder) packFilters(c device.Conv) operand {
	w, packed := e.in(c.W), e.in(e.temp(c.W.DType, c.W.Rows, c.W.Cols))
	args := struct{ cout, cin, taps, ldw uint32 }{uint32(c.W.Rows), uint32(c.X.C), uint32(c.KT * c.KH * c.KW), w.ld}
	record(e, elementwise(convPack[c.W.DType.Size()], constants{}, c.W.Rows, c.W.Cols, 2*c.W.Bytes()), &args, w, packed)
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
