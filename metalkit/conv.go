package metalkit

import "gimbal/inference/device"

// Flags of kernels/conv.metal.
const convBias, convAdd, convPrev0, convPrev1 = 1, 2, 4, 8

type convArgs struct {
	h, w, cin, frame                            uint32
	kt, kh, kw, strideT, stride, padH, padW, up uint32
	outH, outW, cout, yframe, addframe, ldw     uint32
}

func (e *encoder) Conv(c device.Conv) {
	const op = "Conv"
	c.Check()
	x, y, add := e.frames(c.X), e.outFrames(c.Y), e.frames(c.Add)
	prev0, prev1 := e.frames(c.Prev[0]), e.frames(c.Prev[1])
	w, bias := e.in(c.W), e.in(c.Bias)
	pixels := c.Y.H * c.Y.W
	if !e.begin(op, c.Y.T, pixels*c.Y.C, c.X.H*c.X.W*c.X.C, c.X.FrameStride, c.Y.FrameStride, c.W.Stride) ||
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
		if w = e.packFilters(c); e.err != nil {
			return
		}
	}
	args := convArgs{
		h: uint32(c.X.H), w: uint32(c.X.W), cin: uint32(c.X.C), frame: x.ld,
		kt: uint32(c.KT), kh: uint32(c.KH), kw: uint32(c.KW), strideT: uint32(c.StrideT), stride: uint32(c.Stride),
		padH: uint32(c.PadH), padW: uint32(c.PadW),
		outH: uint32(c.Y.H), outW: uint32(c.Y.W), cout: uint32(c.Y.C), yframe: y.ld, addframe: add.ld, ldw: w.ld,
	}
	if c.Upsample {
		args.up = 1
	}
	with := constants{a: x.dt, b: w.dt, c: add.dt, y: y.dt}
	with.aligned = aligned(c.X.C, x, prev0, prev1, w)
	with.flags = bias.flag(convBias) | add.flag(convAdd) | prev0.flag(convPrev0) | prev1.flag(convPrev1)
	cols := colsOfTile(c.Y.C)
	d := dispatch{kernel: e.dev.compute.conv[cols], with: with, threads: tileThreads, work: 2 * float64(c.Y.T*pixels) * float64(c.Y.C) * float64(c.W.Cols)}
	d.groups = [3]int{ceilDiv(c.Y.C, cols), ceilDiv(pixels, tileRows), c.Y.T}
	record(e, d, &args, x, prev0, prev1, w, bias, add, y)
}

// convPack brings filters of elements of so many bytes from (channel, tap) to
// (tap, channel).
var convPack = map[int]string{1: "conv_pack_1", 2: "conv_pack_2", 4: "conv_pack_4"}

// packFilters returns c's filters with the channel innermost, as the kernel reads them.
func (e *encoder) packFilters(c device.Conv) operand {
	w, packed := e.in(c.W), e.in(e.temp("Conv", c.W.DType, c.W.Rows, c.W.Cols))
	args := struct{ cout, cin, taps, ldw uint32 }{uint32(c.W.Rows), uint32(c.X.C), uint32(c.KT * c.KH * c.KW), w.ld}
	if e.err == nil {
		record(e, elementwise(convPack[c.W.DType.Size()], constants{}, c.W.Rows*c.W.Cols), &args, w, packed)
	}
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
