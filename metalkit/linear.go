package metalkit

import "gimbal/inference/device"

// Flags of kernels/linear.metal.
const linearBias, linearGate, linearAdd = 1, 2, 4

// Tiles of Y, as in kernels/tile.h.
const (
	tileRows    = 64
	tileThreads = 128
)

var tileCols = []int{64, 32}

// colsOfTile chooses the columns of a tile for n columns: the fewest to waste, and
// the most of those.
func colsOfTile(n int) int {
	best := tileCols[0]
	for _, c := range tileCols {
		if ceilDiv(n, c)*c < ceilDiv(n, best)*best {
			best = c
		}
	}
	return best
}

// skinnyRows is how many rows of X, at most, go to linear_rows.
const skinnyRows = 4

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
	with.aligned = aligned(k|l.W.Block, x, w) // a multiple of 4 if both are
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
	cols := colsOfTile(n)
	d := dispatch{kernel: e.dev.compute.linear[cols], with: with, threads: tileThreads, work: 2 * float64(m) * float64(n) * float64(k)}
	d.groups = [3]int{ceilDiv(n, cols), ceilDiv(m, tileRows), 1}
	if m <= skinnyRows {
		d.kernel, d.groups = "linear_rows", [3]int{ceilDiv(n, 4), 1, 1}
	}
	record(e, d, &args, x, w, scale, code, nested, nestedCode, bias, gate, add, y)
}
