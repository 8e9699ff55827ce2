package metalkit

import (
	"gimbal/inference/device"
	"gimbal/metalkit/internal/driver"
)

// Flags of kernels/norm.metal and rope.metal.
const (
	normWeight, normBias, normScale, normShift, normLayer = 1, 2, 4, 8, 16
	ropeWeight                                            = 1
)

// Threads of a threadgroup of norm and rope, and of a simd-group.
const rowThreads, simdWidth = 256, 32

// narrowCols is how many columns, at most, norm leaves to one simd-group.
const narrowCols = 512

func (e *encoder) norm(n device.Norm) {
	x, y := e.in(n.X), e.out(n.Y)
	weight, bias, scale, shift := e.in(n.Weight), e.in(n.Bias), e.in(n.Scale), e.in(n.Shift)
	if !e.begin("Norm", n.Cost(), n.X.Rows, n.X.Stride, n.Y.Stride) || !e.readable("Norm", x) || !e.writable("Norm", y) {
		return
	}
	with := driver.Constants{A: x.dt, Y: y.dt, Func: uint32(n.Act)}
	with.Flags = weight.flag(normWeight) | bias.flag(normBias) | scale.flag(normScale) | shift.flag(normShift)
	if n.Kind == device.LayerNorm {
		with.Flags |= normLayer
	}
	args := struct {
		rows, cols, ldx, ldy uint32
		eps                  float32
	}{uint32(n.X.Rows), uint32(n.X.Cols), x.ld, y.ld, n.Eps}
	d := dispatch{kernel: "norm_wide", with: with, groups: [3]int{n.X.Rows, 1, 1}, threads: rowThreads, moved: n.Cost().Bytes, sizes: [4]int{n.X.Rows, n.X.Cols}}
	if n.X.Cols <= narrowCols {
		d.kernel, d.groups[0] = "norm_narrow", ceilDiv(n.X.Rows, rowThreads/simdWidth)
	}
	record(e, d, &args, x, weight, bias, scale, shift, y)
}

func (e *encoder) rope(r device.Rope) {
	x, y := e.in(r.X), e.out(r.Y)
	cos, sin, weight := e.in(r.Cos), e.in(r.Sin), e.in(r.Weight)
	if !e.begin("Rope", r.Cost(), r.X.Rows, r.X.Stride, r.Y.Stride) || !e.readable("Rope", x) || !e.writable("Rope", y) {
		return
	}
	args := struct {
		cols, halfHead, ldx, ldcos, ldsin, ldy uint32
		eps                                    float32
	}{uint32(r.X.Cols), uint32(r.X.Cols / r.Heads / 2), x.ld, cos.ld, sin.ld, y.ld, r.Eps}
	with := driver.Constants{A: x.dt, Y: y.dt, Flags: weight.flag(ropeWeight)}
	record(e, dispatch{kernel: "rope", with: with, groups: [3]int{r.X.Rows, 1, 1}, threads: rowThreads, moved: r.Cost().Bytes, sizes: [4]int{r.X.Rows, r.X.Cols}}, &args,
		x, cos, sin, weight, y)
}
