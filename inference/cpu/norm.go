package cpu

// #include "kernels.h"
import "C"

import (
	"unsafe"

	"gimbal/inference/device"
)

// rowwise runs f over groups of whole rows of x and y.
func (e *encoder) rowwise(y, x view, f func(y, x block, i, rows int)) error {
	if err := readable("X", x); err != nil {
		return err
	}
	if err := writable("Y", y); err != nil {
		return err
	}
	group := max(tileElems/x.cols, 1)
	if err := e.scratch(y.need(group*y.cols), x.need(group*x.cols)); err != nil {
		return err
	}
	return e.each(ceilDiv(x.rows, group), func(w *worker, t int) {
		i := t * group
		rows := min(group, x.rows-i)
		in := x.load(w.part(1), i, 0, rows, x.cols)
		out := y.target(w.part(0), i, 0, y.cols)
		f(out, in, i, rows)
		y.store(out, i, 0, rows, y.cols)
	})
}

func (e *encoder) norm(n device.Norm) {
	y, x := e.out(n.Y), e.view(n.X)
	e.run(func() error {
		mul, plus, err := e.modulation(n)
		if err != nil {
			return err
		}
		layer := 0
		if n.Kind == device.LayerNorm {
			layer = 1
		}
		return e.rowwise(y, x, func(y, x block, _, rows int) {
			C.gb_norm(y.p, C.long(y.ld), x.p, C.long(x.ld), C.int(layer), C.float(n.Eps), mul, plus, C.int(n.Act), C.long(rows), C.long(n.X.Cols))
		})
	})
}

// modulation folds weight, bias, scale and shift into one factor and one term a
// column: (n*w + b)*(1+s) + t = n * w(1+s) + b(1+s)+t.
func (e *encoder) modulation(n device.Norm) (mul, plus unsafe.Pointer, err error) {
	var rows [4][]float32
	for i, m := range []device.Mat{n.Weight, n.Bias, n.Scale, n.Shift} {
		b, err := e.floats(m)
		if err != nil {
			return nil, nil, err
		}
		if b.p != nil {
			rows[i] = floats(b.p, n.X.Cols)
		}
	}
	if mul, err = e.temp(n.X.Cols); err != nil {
		return nil, nil, err
	}
	if plus, err = e.temp(n.X.Cols); err != nil {
		return nil, nil, err
	}
	if e.count != nil {
		return nil, nil, nil
	}
	muls, pluses := floats(mul, n.X.Cols), floats(plus, n.X.Cols)
	for j := range muls {
		a, c := float32(1), float32(0)
		if rows[0] != nil {
			a = rows[0][j]
		}
		if rows[1] != nil {
			c = rows[1][j]
		}
		if rows[2] != nil {
			a *= 1 + rows[2][j]
			c *= 1 + rows[2][j]
		}
		if rows[3] != nil {
			c += rows[3][j]
		}
		muls[j], pluses[j] = a, c
	}
	return mul, plus, nil
}

func (e *encoder) rope(r device.Rope) {
	y, x := e.out(r.Y), e.view(r.X)
	e.run(func() error {
		var in [3]block
		for i, m := range []device.Mat{r.Cos, r.Sin, r.Weight} {
			b, err := e.floats(m)
			if err != nil {
				return err
			}
			in[i] = b
		}
		d := r.X.Cols / r.Heads
		return e.rowwise(y, x, func(y, x block, i, rows int) {
			cos, sin := in[0].at(i, 0), in[1].at(i, 0)
			C.gb_rope(y.p, C.long(y.ld), x.p, C.long(x.ld), C.long(r.Heads), C.long(d),
				cos.p, C.long(cos.ld), sin.p, C.long(sin.ld), in[2].p, C.float(r.Eps), C.long(rows))
		})
	})
}
