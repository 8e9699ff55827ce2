package cpu

// #include "kernels.h"
import "C"

import (
	"fmt"
	"sync/atomic"
	"unsafe"

	"gimbal/inference/device"
)

// movable returns ErrUnsupported unless convert takes elements of x to those of y.
func movable(x, y view) error {
	if x.dt == y.dt {
		return nil
	}
	if err := readable("the source", x); err != nil {
		return err
	}
	return writable("the result", y)
}

func (e *encoder) move(m device.Move) {
	x, y := e.view(m.X), e.out(m.Y)
	e.run(func() error {
		if err := movable(x, y); err != nil {
			return err
		}
		if m.Transpose {
			return e.transpose(y, x)
		}
		tc := min(x.cols, 4*tileElems)
		tr := max(tileElems/tc, 1)
		across := ceilDiv(x.cols, tc)
		return e.each(ceilDiv(x.rows, tr)*across, func(_ *worker, t int) {
			i, j := t/across*tr, t%across*tc
			convert(y.at(i, j), y.ld, y.dt, x.at(i, j), x.ld, x.dt, min(tr, x.rows-i), min(tc, x.cols-j))
		})
	})
}

// transpose converts tiles of x to y's type and transposes them.
func (e *encoder) transpose(y, x view) error {
	const side = 128
	size := y.dt.Size()
	if err := e.scratch(side * side * size / 4); err != nil {
		return err
	}
	across := ceilDiv(x.cols, side)
	return e.each(ceilDiv(x.rows, side)*across, func(w *worker, t int) {
		i, j := t/across*side, t%across*side
		rows, cols := min(side, x.rows-i), min(side, x.cols-j)
		src, ld := x.at(i, j), x.ld
		if x.dt != y.dt {
			src, ld = w.part(0), cols
			convert(src, ld, y.dt, x.at(i, j), x.ld, x.dt, rows, cols)
		}
		C.gb_transpose(y.at(j, i), C.long(y.ld), src, C.long(ld), C.int(size), C.long(rows), C.long(cols))
	})
}

func (e *encoder) gather(g device.Gather) {
	table, y := e.view(g.Table), e.out(g.Y)
	ids := e.view(g.IDs)
	e.run(func() error {
		if err := movable(table, y); err != nil {
			return err
		}
		var bad atomic.Pointer[error]
		err := e.each(y.rows, func(_ *worker, i int) {
			var id int32
			copy(unsafe.Slice((*byte)(unsafe.Pointer(&id)), 4), unsafe.Slice((*byte)(ids.at(0, i)), 4))
			if id < 0 || int(id) >= table.rows {
				err := fmt.Errorf("cpu: ID %d at %d of %q, want 0 to %d", id, i, g.IDs.Buf.Desc().Label, table.rows-1)
				bad.CompareAndSwap(nil, &err)
				return
			}
			convert(y.at(i, 0), y.ld, y.dt, table.at(int(id), 0), table.ld, table.dt, 1, y.cols)
		})
		if p := bad.Load(); p != nil {
			return *p
		}
		return err
	})
}
