package metalkit

import (
	"gimbal/inference/device"
	"gimbal/metalkit/internal/driver"
)

// elementsOfGroup is how many elements a threadgroup of an element-wise kernel
// takes.
const elementsOfGroup = 1024

// elementwise is a dispatch over a matrix that moves so many bytes.
func elementwise(kernel string, with driver.Constants, rows, cols int, moved int64) dispatch {
	return dispatch{
		kernel: kernel, with: with, groups: [3]int{ceilDiv(rows*cols, elementsOfGroup), 1, 1}, threads: 256,
		sizes: [4]int{rows, cols}, moved: moved,
	}
}

func (e *encoder) unary(u device.Unary) {
	x, y := e.in(u.X), e.out(u.Y)
	n := u.X.Rows * u.X.Cols
	if !e.begin("Unary", u.Cost(), n, u.X.Stride, u.Y.Stride) || !e.readable("Unary", x) || !e.writable("Unary", y) {
		return
	}
	args := struct{ rows, cols, ldx, ldy uint32 }{uint32(u.X.Rows), uint32(u.X.Cols), x.ld, y.ld}
	record(e, elementwise("unary", driver.Constants{A: x.dt, Y: y.dt, Func: uint32(u.F)}, u.X.Rows, u.X.Cols, u.Cost().Bytes), &args, x, y)
}

func (e *encoder) binary(b device.Binary) {
	x, z, y := e.in(b.A), e.in(b.B), e.out(b.Y)
	n := b.A.Rows * b.A.Cols
	if !e.begin("Binary", b.Cost(), n, b.A.Stride, b.B.Stride, b.Y.Stride) || !e.readable("Binary", x, z) || !e.writable("Binary", y) {
		return
	}
	args := struct{ rows, cols, lda, ldb, ldy uint32 }{uint32(b.A.Rows), uint32(b.A.Cols), x.ld, z.orZeroStep(b.B.Rows), y.ld}
	record(e, elementwise("binary", driver.Constants{A: x.dt, B: z.dt, Y: y.dt, Func: uint32(b.Op)}, b.A.Rows, b.A.Cols, b.Cost().Bytes), &args, x, z, y)
}

func (e *encoder) gatedAdd(g device.GatedAdd) {
	x, gate, b, y := e.in(g.A), e.in(g.Gate), e.in(g.B), e.out(g.Y)
	n := g.A.Rows * g.A.Cols
	if !e.begin("GatedAdd", g.Cost(), n, g.A.Stride, g.Gate.Stride, g.B.Stride, g.Y.Stride) || !e.readable("GatedAdd", x, gate, b) || !e.writable("GatedAdd", y) {
		return
	}
	args := struct {
		rows, cols, lda, ldg, ldb, ldy uint32
		plus                           float32
	}{uint32(g.A.Rows), uint32(g.A.Cols), x.ld, gate.orZeroStep(g.Gate.Rows), b.ld, y.ld, g.Plus}
	record(e, elementwise("gated_add", driver.Constants{A: x.dt, B: b.dt, C: gate.dt, Y: y.dt}, g.A.Rows, g.A.Cols, g.Cost().Bytes), &args, x, gate, b, y)
}
