package metalkit

import "gimbal/inference/device"

// Flags of kernels/linear.metal.
const linearBias, linearGate, linearAdd = 1, 2, 4

const (
	tileSide   = 64 // rows and columns of Y of a threadgroup of linear and conv
	tileGroup  = 128
	skinnyRows = 4 // no more rows of X than this go to linear_rows
)

type linearArgs struct {
	m, n, k, ldx, ldw, ldadd, ldy uint32
	block, nestedBlock            uint32
	nestedOffset                  float32
}

func (e *encoder) Linear(l device.Linear) {
	const op = "Linear"
	l.Check()
	x, y, add := e.in(l.X), e.out(l.Y), e.in(l.Add)
	bias, gate := e.in(l.Bias), e.in(l.Gate)
	w, scale, code := e.in(l.W.Data), e.in(l.W.Scale), e.in(l.W.Code)
	nested, nestedCode := e.in(l.W.Nested), e.in(l.W.NestedCode)
	m, n, k := l.X.Rows, l.W.Out, l.W.In
	if !e.begin(op, m, l.X.Stride, l.Y.Stride, l.W.Data.Stride) || !e.readable(op, x, add) || !e.writable(op, y) {
		return
	}
	with := constants{a: x.dt, b: w.dt, c: add.dt, y: y.dt, fn: uint32(l.Act)}
	with.flags = bias.flag(linearBias) | gate.flag(linearGate) | add.flag(linearAdd)
	switch {
	case l.W.NF4 && nested.none():
		with.b = typeNF4
	case l.W.NF4:
		with.b = typeNF4Nested
	case l.W.Data.DType != device.I8 && !e.readable(op, w):
		return
	}
	args := linearArgs{
		m: uint32(m), n: uint32(n), k: uint32(k), ldx: x.ld, ldw: w.ld, ldadd: add.ld, ldy: y.ld,
		block: uint32(l.W.Block), nestedBlock: uint32(l.W.NestedBlock), nestedOffset: l.W.NestedOffset,
	}
	d := dispatch{kernel: e.dev.compute.linear, with: with, threads: tileGroup, work: 2 * float64(m) * float64(n) * float64(k)}
	d.groups = [3]int{ceilDiv(n, tileSide), ceilDiv(m, tileSide), 1}
	if m <= skinnyRows {
		d.kernel, d.groups = "linear_rows", [3]int{ceilDiv(n, 4), 1, 1}
	}
	record(e, d, &args, x, w, scale, code, nested, nestedCode, bias, gate, add, y)
}
