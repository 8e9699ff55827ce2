package cpu

// #include "kernels.h"
import "C"

import (
	"math"
	"unsafe"

	"gimbal/inference/device"
)

// Tiles of scores: so many queries by so many keys.
const (
	queryTile = 512
	keyTile   = 512
	fewTasks  = 8 // below this, tiles have fewer queries, down to leastSide
)

func (e *encoder) attention(a device.Attention) {
	q, k, v, o := e.view(a.Q), e.view(a.K), e.view(a.V), e.out(a.O)
	e.run(func() error {
		if err := readable("Q, K or V", q, k, v); err != nil {
			return err
		}
		if err := writable("O", o); err != nil {
			return err
		}
		rel, err := e.floats(a.RelBias)
		if err != nil {
			return err
		}
		key, err := e.floats(a.KeyBias)
		if err != nil {
			return err
		}
		f := &flash{e: e, q: q, k: k, v: v, o: o, d: q.cols / a.Heads, scale: a.Scale, rel: rel, key: key.p}
		if f.d == wideHead && f.rel.p == nil {
			return f.each(a.Heads, wideQueries, panel, f.wideScratch, f.wideTile)
		}
		return f.each(a.Heads, queryTile, 16, f.scratch, f.tile)
	})
}

// each runs the tiles of every head, of at most size queries and a multiple of step.
func (f *flash) each(heads, size, step int, scratch func() error, tile func(w *worker, head, i int)) error {
	f.bq, f.bk = spread(f.q.rows, size, step), spread(f.k.rows, keyTile, 16)
	for f.bq > leastSide && heads*ceilDiv(f.q.rows, f.bq) < fewTasks {
		f.bq = spread(f.q.rows, f.bq/2, step)
	}
	if err := scratch(); err != nil {
		return err
	}
	tiles := ceilDiv(f.q.rows, f.bq)
	return f.e.each(heads*tiles, func(w *worker, t int) { tile(w, t/tiles, t%tiles*f.bq) })
}

// flash is an attention by online softmax.
type flash struct {
	e          *encoder
	q, k, v, o view
	d, bq, bk  int
	scale      float32
	rel        block
	key        unsafe.Pointer
}

func (f *flash) scratch() error {
	return f.e.scratch(f.bq*f.bk, f.bq*f.d, f.bq, f.bq, f.q.need(f.bq*f.d), f.k.need(f.bk*f.d), f.v.need(f.bk*f.d))
}

// tile computes the outputs of one head for the queries from row i on.
func (f *flash) tile(w *worker, head, i int) {
	rows, col := min(f.bq, f.q.rows-i), head*f.d
	scores, sums := block{w.part(0), f.bk}, block{w.part(1), f.d}
	top, total := w.part(2), w.part(3)
	clear(floats(total, rows))
	for r := range rows {
		floats(top, rows)[r] = float32(math.Inf(-1))
	}
	q := f.q.load(w.part(4), i, col, rows, f.d)
	for j := 0; j < f.k.rows; j += f.bk {
		if f.e.ctx.Err() != nil {
			return
		}
		keys := min(f.bk, f.k.rows-j)
		gemmT(rows, keys, f.d, q, f.k.load(w.part(5), j, col, keys, f.d), 0, scores)
		var rel unsafe.Pointer
		if f.rel.p != nil {
			rel = f.rel.at(head, j-i+f.q.rows-1).p
		}
		rescale := f.d
		if j == 0 {
			rescale = 0 // nothing is summed yet
		}
		C.gb_softmax_tile(scores.p, C.long(scores.ld), C.long(rows), C.long(keys), C.float(f.scale), rel,
			column(f.key, j), top, total, sums.p, C.long(sums.ld), C.long(rescale))
		gemm(rows, f.d, keys, scores, f.v.load(w.part(6), j, col, keys, f.d), beta(j), sums)
	}
	out := f.o.target(sums.p, i, col, f.d)
	C.gb_divide_rows(out.p, C.long(out.ld), sums.p, C.long(sums.ld), total, C.long(rows), C.long(f.d))
	f.o.store(out, i, col, rows, f.d)
}
