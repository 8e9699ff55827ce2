package cpu

// #include "kernels.h"
import "C"

import (
	"unsafe"

	"gimbal/inference/device"
)

// wideHead is the size of heads, that of all real transformers, whose attention has loops of
// their own where the processor is made for them; 0 for none. Products by BLAS, which packs its
// operands in every call, take their scores to memory and back.
var wideHead = int(C.gb_attention_heads())

const (
	panel       = 32   // so many queries, or channels, stand beside each other in those loops
	wideQueries = 1024 // most queries of a tile: keys and values are copied for each
)

func (f *flash) wideScratch() error {
	f.bq = roundUp(f.bq, panel) // which halving need not have kept
	return f.e.scratch(f.bq*f.d, f.bq*f.d, f.bq, f.bq, f.q.need(f.bq*f.d), f.bk*f.d, f.bk*f.d)
}

// wideTile is tile by those loops.
func (f *flash) wideTile(w *worker, head, i int) {
	rows, col := min(f.bq, f.q.rows-i), head*f.d
	panels, sums, top, total := w.part(0), block{w.part(1), f.d}, w.part(2), w.part(3)
	q := f.q.load(w.part(4), i, col, rows, f.d)
	C.gb_attention_begin(panels, top, total, sums.p, q.p, C.long(q.ld), C.long(rows))
	for j := 0; j < f.k.rows; j += f.bk {
		if f.e.ctx.Err() != nil {
			return
		}
		keys := min(f.bk, f.k.rows-j)
		f.k.copyTo(block{w.part(5), f.d}, j, col, keys, f.d)
		for c := 0; c < f.d; c += panel {
			f.v.copyTo(block{unsafe.Add(w.part(6), c*keys*4), panel}, j, col+c, keys, panel)
		}
		C.gb_attention_keys(panels, top, total, sums.p, w.part(5), w.part(6), column(f.key, j), C.float(f.scale), C.long(rows), C.long(keys))
	}
	out := f.o.target(sums.p, i, col, f.d)
	C.gb_divide_rows(out.p, C.long(out.ld), sums.p, C.long(sums.ld), total, C.long(rows), C.long(f.d))
	f.o.store(out, i, col, rows, f.d)
}

// copyTo copies rows x cols elements of v from (i, j) on to b, as floats.
func (v view) copyTo(b block, i, j, rows, cols int) {
	convert(b.p, b.ld, device.F32, v.at(i, j), v.ld, v.dt, rows, cols)
}
