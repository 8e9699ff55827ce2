package cpu

// #include "kernels.h"
import "C"

import "gimbal/inference/device"

// A product is cut into tiles that depend on its shape alone: panels of weights,
// widened once for all rows of X that meet them, times blocks of rows.
const (
	panelElems = 4 << 20 // most weights of a panel
	panelRows  = 512     // most rows of weights of a panel
	blockRows  = 1024    // most rows of X of a tile
	fewTiles   = 32      // below this, tiles are made smaller, down to leastRows
	leastRows  = 128
	skinnyRows = 8 // fewer rows of X than this are read against each weight at once
)

func (e *encoder) Linear(l device.Linear) {
	l.Check()
	x := e.view(l.X)
	end := epilogue{y: e.out(l.Y), add: e.view(l.Add), act: l.Act}
	e.run("Linear", func() error {
		if err := readable("X", x); err != nil {
			return err
		}
		if err := end.types(); err != nil {
			return err
		}
		w, err := e.weight(l.W)
		if err != nil {
			return err
		}
		bias, err := e.floats(l.Bias)
		if err != nil {
			return err
		}
		gate, err := e.floats(l.Gate)
		if err != nil {
			return err
		}
		end.bias, end.gate = bias.p, gate.p
		if x.rows < skinnyRows {
			return e.skinny(x, w, end)
		}
		return e.product(x, w, end)
	})
}

// product multiplies by BLAS, tile by tile.
func (e *encoder) product(x view, wt weight, end epilogue) error {
	m, n, k := x.rows, end.y.cols, x.cols
	nb := spread(n, clamp(panelElems/k, 16, panelRows), 16)
	mb := spread(m, blockRows, 16)
	if !x.direct() {
		mb = spread(m, clamp(panelElems/k, 16, blockRows), 16)
	}
	for mb > leastRows && ceilDiv(m, mb)*ceilDiv(n, nb) < fewTiles {
		mb = spread(m, mb/2, 16)
	}
	panels, blocks := ceilDiv(n, nb), ceilDiv(m, mb)
	acc, add := end.need(mb * nb)
	if err := e.scratch(acc, add, x.need(mb*k), wt.need(nb*k)); err != nil {
		return err
	}
	tile := func(w *worker, b block, i, j int) {
		rows, cols := min(mb, m-i), min(nb, n-j)
		a := x.load(w.part(partOperand), i, 0, rows, k)
		c := end.product(w, i, j, cols)
		gemmT(rows, cols, k, a, b, 0, c)
		end.finish(w, c, i, j, rows, cols)
	}
	// One job is a panel where that keeps all workers busy, so that it is widened once.
	each := blocks
	if wt.direct || panels < 4*len(e.dev.workers) {
		each = 1
	}
	jobs := ceilDiv(blocks, each)
	return e.each(panels*jobs, func(w *worker, t int) {
		j, first := t/jobs*nb, t%jobs*each
		b := wt.panel(w.part(partOperand+1), j, min(nb, n-j))
		for i := first; i < min(first+each, blocks) && e.ctx.Err() == nil; i++ {
			tile(w, b, i*mb, j)
		}
	})
}

// skinny multiplies a few rows: the weights are read once, at the speed of memory.
func (e *encoder) skinny(x view, wt weight, end epilogue) error {
	m, n, k := x.rows, end.y.cols, x.cols
	nb := clamp(tileElems*4/k, 1, 64)
	acc, add := end.need(m * nb)
	if err := e.scratch(acc, add, x.need(m*k), wt.need(nb*k)); err != nil {
		return err
	}
	return e.each(ceilDiv(n, nb), func(w *worker, t int) {
		j := t * nb
		cols := min(nb, n-j)
		a := x.load(w.part(partOperand), 0, 0, m, k)
		b := wt.panel(w.part(partOperand+1), j, cols)
		c := end.product(w, 0, j, cols)
		C.gb_dot_rows(c.p, C.long(c.ld), a.p, C.long(a.ld), b.p, C.long(b.ld), C.long(m), C.long(cols), C.long(k))
		end.finish(w, c, 0, j, m, cols)
	})
}

func clamp(n, least, most int) int { return min(max(n, least), most) }
