package cpu

// #include "kernels.h"
import "C"

import "gimbal/inference/device"

// A product is cut into tiles that depend on its shape alone. BLAS wants them
// wide, because it packs the rows of X anew for every tile.
const (
	tileRows    = 1056 // most rows of X of a tile
	tileCols    = 2304 // most rows of weights of a tile
	tileDepth   = 2048 // most columns that are widened and multiplied at a time
	fewTiles    = 12   // below this, tiles are halved, down to leastSide
	leastSide   = 128
	skinnyRows  = 8        // fewer rows of X than this are multiplied without BLAS
	skinnyElems = 32 << 10 // weights that skinny widens at a time
)

func (e *encoder) linear(l device.Linear) {
	x := e.view(l.X)
	end := epilogue{y: e.out(l.Y), add: e.view(l.Add), onto: l.Add.Buf == l.Y.Buf && l.Add.Offset == l.Y.Offset, act: l.Act}
	e.run(func() error {
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
	mb, nb := spread(m, tileRows, 16), spread(n, tileCols, 16)
	for ceilDiv(m, mb)*ceilDiv(n, nb) < fewTiles && max(mb, nb) > leastSide {
		if nb > 2*mb || mb <= leastSide {
			nb = spread(n, nb/2, 16)
		} else {
			mb = spread(m, mb/2, 16)
		}
	}
	kb := min(k, tileDepth)
	acc, add := end.need(mb * nb)
	if err := e.scratch(acc, add, x.need(mb*kb), wt.need(nb*kb)); err != nil {
		return err
	}
	down := ceilDiv(m, mb)
	return e.each(down*ceilDiv(n, nb), func(w *worker, t int) {
		i, j := t%down*mb, t/down*nb
		rows, cols := min(mb, m-i), min(nb, n-j)
		y := end.product(w, i, j, cols)
		for d := 0; d < k && e.ctx.Err() == nil; d += kb {
			depth := min(kb, k-d)
			a := x.load(w.part(partOperand), i, d, rows, depth)
			if kb < k || w.panel != j { // else this worker's last tile had the same weights
				w.weights, w.panel = wt.load(w.part(partOperand+1), j, d, cols, depth), j
			}
			gemmT(rows, cols, depth, a, w.weights, beta(d), y)
		}
		end.finish(w, y, i, j, rows, cols)
	})
}

// beta is what a product from depth d on does to the sum so far: keep it, but at
// the beginning.
func beta(d int) float32 {
	if d == 0 {
		return 0
	}
	return 1
}

// skinny multiplies a few rows: the weights are read once, at the speed of memory.
func (e *encoder) skinny(x view, wt weight, end epilogue) error {
	m, n, k := x.rows, end.y.cols, x.cols
	nb := clamp(skinnyElems/k, 1, 64)
	acc, add := end.need(m * nb)
	if err := e.scratch(acc, add, x.need(m*k), wt.need(nb*k)); err != nil {
		return err
	}
	return e.each(ceilDiv(n, nb), func(w *worker, t int) {
		j := t * nb
		cols := min(nb, n-j)
		a := x.load(w.part(partOperand), 0, 0, m, k)
		b := wt.load(w.part(partOperand+1), j, 0, cols, k)
		c := end.product(w, 0, j, cols)
		C.gb_dot_rows(c.p, C.long(c.ld), a.p, C.long(a.ld), b.p, C.long(b.ld), C.long(m), C.long(cols), C.long(k))
		end.finish(w, c, 0, j, m, cols)
	})
}

func clamp(n, least, most int) int { return min(max(n, least), most) }
