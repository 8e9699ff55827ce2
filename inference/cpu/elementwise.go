package cpu

// #include "kernels.h"
import "C"

import "gimbal/inference/device"

// tileElems is about how many elements an element-wise operation takes at a time.
const tileElems = 16 << 10

// tiles runs f over y in tiles: f reads its operands, one row of which goes with
// every row of y, as blocks and writes to y. All may be of any float type.
func (e *encoder) tiles(y view, operands []view, f func(y block, in []block, rows, cols int)) error {
	if err := readable("an operand", operands...); err != nil {
		return err
	}
	if err := writable("the result", y); err != nil {
		return err
	}
	if y.rows == 0 {
		return nil
	}
	tc := min(y.cols, tileElems)
	tr := max(tileElems/tc, 1)
	parts := []int{y.need(tr * tc)}
	for _, v := range operands {
		parts = append(parts, v.need(tr*tc))
	}
	if err := e.scratch(parts...); err != nil {
		return err
	}
	across := ceilDiv(y.cols, tc)
	return e.each(ceilDiv(y.rows, tr)*across, func(w *worker, t int) {
		i, j := t/across*tr, t%across*tc
		rows, cols := min(tr, y.rows-i), min(tc, y.cols-j)
		in := make([]block, len(operands))
		for k, v := range operands {
			if v.rows == 1 && y.rows > 1 {
				in[k] = v.load(w.part(k+1), 0, j, 1, cols)
				in[k].ld = 0
			} else {
				in[k] = v.load(w.part(k+1), i, j, rows, cols)
			}
		}
		out := y.target(w.part(0), i, j, cols)
		f(out, in, rows, cols)
		y.store(out, i, j, rows, cols)
	})
}

func (e *encoder) unary(u device.Unary) {
	y, x := e.out(u.Y), e.view(u.X)
	e.run(func() error {
		return e.tiles(y, []view{x}, func(y block, in []block, rows, cols int) {
			C.gb_unary(y.p, C.long(y.ld), in[0].p, C.long(in[0].ld), C.int(u.F), C.long(rows), C.long(cols))
		})
	})
}

func (e *encoder) binary(b device.Binary) {
	y, ops := e.out(b.Y), []view{e.view(b.A), e.view(b.B)}
	e.run(func() error {
		return e.tiles(y, ops, func(y block, in []block, rows, cols int) {
			C.gb_binary(y.p, C.long(y.ld), in[0].p, C.long(in[0].ld), in[1].p, C.long(in[1].ld), C.int(b.Op), C.long(rows), C.long(cols))
		})
	})
}

func (e *encoder) gatedAdd(g device.GatedAdd) {
	y, ops := e.out(g.Y), []view{e.view(g.A), e.view(g.Gate), e.view(g.B)}
	e.run(func() error {
		return e.tiles(y, ops, func(y block, in []block, rows, cols int) {
			C.gb_gated_add(y.p, C.long(y.ld), in[0].p, C.long(in[0].ld), in[1].p, C.long(in[1].ld),
				in[2].p, C.long(in[2].ld), C.float(g.Plus), C.long(rows), C.long(cols))
		})
	})
}
