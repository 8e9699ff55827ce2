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

// tiling is how a product is cut: rows of X and of weights of a tile, and the columns that are
// multiplied at a time.
type tiling struct{ rows, cols, depth int }

// count returns how many tiles are below each other, and how many in all.
func (t tiling) count(m, n int) (down, all int) {
	return ceilDiv(m, t.rows), ceilDiv(m, t.rows) * ceilDiv(n, t.cols)
}

func blasTiling(m, n, k int) tiling {
	t := tiling{spread(m, tileRows, 16), spread(n, tileCols, 16), min(k, tileDepth)}
	for max(t.rows, t.cols) > leastSide {
		if _, all := t.count(m, n); all >= fewTiles {
			break
		}
		if t.cols > 2*t.rows || t.rows <= leastSide {
			t.cols = spread(n, t.cols/2, 16)
		} else {
			t.rows = spread(m, t.rows/2, 16)
		}
	}
	return t
}

// product multiplies tile by tile. It takes memory for either way of doing so, so that what
// a plan counts is the same on every processor.
func (e *encoder) product(x view, wt weight, end epilogue) error {
	m, n, k := x.rows, end.y.cols, x.cols
	t, own, isLarge := blasTiling(m, n, k), wideTiling(m, n, k), large(m, n, k)
	acc, add := end.need(t.rows * t.cols)
	parts := []int{acc, add, x.need(t.rows * t.depth), wt.need(t.cols * t.depth)}
	if isLarge {
		for i, n := range own.wideParts(x, wt, end) {
			parts[i] = max(parts[i], n)
		}
	}
	if err := e.scratch(parts...); err != nil {
		return err
	}
	if isLarge && wideProducts {
		return e.wideProduct(x, wt, end, own)
	}
	return e.blasProduct(x, wt, end, t)
}

// eachTile calls f for every tile of a product [m, n]: rows and cols from row i and column j on.
func (e *encoder) eachTile(t tiling, m, n int, f func(w *worker, i, j, rows, cols int)) error {
	down, all := t.count(m, n)
	return e.each(all, func(w *worker, tile int) {
		i, j := tile%down*t.rows, tile/down*t.cols
		f(w, i, j, min(t.rows, m-i), min(t.cols, n-j))
	})
}

func (e *encoder) blasProduct(x view, wt weight, end epilogue, t tiling) error {
	k := x.cols
	return e.eachTile(t, x.rows, end.y.cols, func(w *worker, i, j, rows, cols int) {
		y := end.product(w, i, j, cols)
		for d := 0; d < k && e.ctx.Err() == nil; d += t.depth {
			depth := min(t.depth, k-d)
			a := x.load(w.part(partOperand), i, d, rows, depth)
			if t.depth < k || w.panel != j { // else this worker's last tile had the same weights
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
