package metalkit

import (
	"gimbal/inference/device"
	"gimbal/metalkit/internal/driver"
)

// The kernels that copy elements of 1, 2, 4 and 8 bytes as they are.
var (
	moveRaw      = map[int]string{1: "move_1", 2: "move_2", 4: "move_4", 8: "move_8"}
	transposeRaw = map[int]string{1: "transpose_1", 2: "transpose_2", 4: "transpose_4", 8: "transpose_8"}
	gatherRaw    = map[int]string{1: "gather_1", 2: "gather_2", 4: "gather_4", 8: "gather_8"}
)

// mover chooses the kernel that brings elements of x to y: a raw one for equal
// types, and convert otherwise.
func (e *encoder) mover(op string, x, y device.Mat, raw map[int]string, convert string) (kernel string, with driver.Constants) {
	if x.DType == y.DType {
		return raw[x.DType.Size()], driver.Constants{}
	}
	from, to := uint32(x.DType), uint32(y.DType)
	e.readable(op, operand{dt: from})
	e.writable(op, operand{dt: to})
	return convert, driver.Constants{A: from, Y: to}
}

func (e *encoder) move(m device.Move) {
	x, y := e.in(m.X), e.out(m.Y)
	if !e.begin("Move", m.Cost(), m.X.Rows*m.X.Cols, m.X.Stride, m.Y.Stride) {
		return
	}
	if !m.Transpose {
		if kernel, with := e.mover("Move", m.X, m.Y, moveRaw, "move_convert"); e.err == nil {
			e.copy(kernel, with, m.X, m.Y, x, y)
		}
		return
	}
	args := struct{ rows, cols, ldx, ldy uint32 }{uint32(m.X.Rows), uint32(m.X.Cols), x.ld, y.ld}
	d := dispatch{groups: [3]int{ceilDiv(m.X.Cols, 32), ceilDiv(m.X.Rows, 32), 1}, threads: 256, moved: m.Cost().Bytes, sizes: [4]int{m.X.Rows, m.X.Cols}}
	if d.kernel, d.with = e.mover("Move", m.X, m.Y, transposeRaw, "transpose_convert"); e.err == nil {
		record(e, d, &args, x, y)
	}
}

// copy records the copy of from to to, whose operands are x and y.
func (e *encoder) copy(kernel string, with driver.Constants, from, to device.Mat, x, y operand) {
	args := struct{ rows, cols, ldx, ldy uint32 }{uint32(from.Rows), uint32(from.Cols), x.ld, y.ld}
	record(e, elementwise(kernel, with, from.Rows, from.Cols, from.Bytes()+to.Bytes()), &args, x, y)
}

func (e *encoder) gather(g device.Gather) {
	table, ids, y := e.in(g.Table), e.in(g.IDs), e.out(g.Y)
	n := g.Y.Rows * g.Y.Cols
	if !e.begin("Gather", g.Cost(), n, g.Table.Stride, g.Y.Stride) {
		return
	}
	kernel, with := e.mover("Gather", g.Table, g.Y, gatherRaw, "gather_convert")
	if e.err != nil {
		return
	}
	args := struct{ rows, cols, tableRows, ldt, ldy uint32 }{uint32(g.Y.Rows), uint32(g.Y.Cols), uint32(g.Table.Rows), table.ld, y.ld}
	record(e, elementwise(kernel, with, g.Y.Rows, g.Y.Cols, g.Cost().Bytes), &args, table, ids, y)
}
