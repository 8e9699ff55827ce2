package cpu

// #include "kernels.h"
import "C"

import "gimbal/inference/device"

// wideProducts reports whether large products have loops of their own, where the processor is
// made for them. BLAS packs its operands in every call, weights for every tile of rows and rows
// of X for every tile of columns: a tenth of the time of a transformer's products.
var wideProducts = C.gb_wide_products() != 0

const (
	largeWork = 1 << 30 // products of fewer multiplications are left to BLAS
	largeRows = 256     // and of fewer rows of X
	wideCols  = 128     // most rows of weights of a tile
	wideDepth = 512     // most columns that are packed and multiplied at a time
	wideGroup = 96      // rows that are widened, multiplied and finished at a time
	hotGroup  = 384     // the same of rows that are read as they are: calls of C take time, too
)

// large reports whether a product of these sizes is one for wideProduct.
func large(m, n, k int) bool { return m >= largeRows && m*n*k >= largeWork }

func wideTiling(m, n, k int) tiling {
	return tiling{spread(m, tileRows, 16), spread(n, wideCols, panel), min(k, wideDepth)}
}

// wideParts returns the scratch that wideProduct takes: an epilogue's parts, rows of X, and
// weights in panels and as they are widened.
func (t tiling) wideParts(x view, wt weight, end epilogue) [4]int {
	acc, add := end.need(t.rows * t.cols)
	return [...]int{acc, add, x.need(wideGroup * t.depth), t.cols*t.depth + wt.need(panel*t.depth)}
}

// wideProduct is blasProduct by those loops.
func (e *encoder) wideProduct(x view, wt weight, end epilogue, t tiling) error {
	k, group := x.cols, wideGroup
	if x.direct() {
		group = hotGroup
	}
	return e.eachTile(t, x.rows, end.y.cols, func(w *worker, i, j, rows, cols int) {
		y := end.product(w, i, j, cols)
		for d := 0; d < k && e.ctx.Err() == nil; d += t.depth {
			depth := min(t.depth, k-d)
			panels := block{w.part(partOperand + 1), depth}
			wt.pack(panels, block{panels.at(t.cols, 0).p, depth}, j, d, cols, depth)
			for g := 0; g < rows; g += group {
				some := min(group, rows-g)
				a, c := x.load(w.part(partOperand), i+g, d, some, depth), y.at(g, 0)
				C.gb_multiply_panels(c.p, C.long(c.ld), a.p, C.long(a.ld), panels.p, C.long(some), C.long(cols), C.long(depth), C.int(beta(d)))
				if d+depth == k {
					end.finish(w, c, i+g, j, some, cols)
				}
			}
		}
	})
}

// pack packs rows x cols weights from row o, column d on to panels, through strip where they
// are to be widened.
func (r weight) pack(panels, strip block, o, d, rows, cols int) {
	step := panel
	if r.format == device.Dense && r.data.direct() {
		step = rows
	}
	for i := 0; i < rows; i += step {
		some := min(step, rows-i)
		b := r.load(strip.p, o+i, d, some, cols)
		C.gb_pack_panels(panels.at(i, 0).p, b.p, C.long(b.ld), C.long(some), C.long(cols))
	}
}
