package cpu

// #include "kernels.h"
import "C"

import (
	"unsafe"

	"gimbal/inference/device"
)

// view is a matrix operand in memory.
type view struct {
	p          unsafe.Pointer
	dt         device.DType
	rows, cols int
	ld         int
}

// view finds m in memory; the zero view stands for none.
func (e *encoder) view(m device.Mat) view {
	if m.IsZero() {
		return view{}
	}
	v := view{dt: m.DType, rows: m.Rows, cols: m.Cols, ld: m.Stride}
	if e.count != nil {
		return v
	}
	v.p = unsafe.Add(e.dev.Find(m.Buf).Mem.p, m.Offset*m.DType.Size())
	return v
}

// out is view for a destination.
func (e *encoder) out(m device.Mat) view {
	if e.count == nil {
		e.dev.FindWritable(m.Buf)
	}
	return e.view(m)
}

func (v view) none() bool { return v.dt == 0 }

// direct reports whether the loops can work on v where it is.
func (v view) direct() bool { return v.dt == device.F32 && uintptr(v.p)%4 == 0 }

func (v view) at(i, j int) unsafe.Pointer { return unsafe.Add(v.p, (i*v.ld+j)*v.dt.Size()) }

// need returns n, the floats of scratch that reading or writing v takes, or 0.
func (v view) need(n int) int {
	if v.none() || v.direct() {
		return 0
	}
	return n
}

// load returns rows x cols elements of v from (i, j) on as floats, widened to
// scratch where need asks for it.
func (v view) load(scratch unsafe.Pointer, i, j, rows, cols int) block {
	if v.direct() {
		return block{v.at(i, j), v.ld}
	}
	b := block{scratch, cols}
	convert(b.p, cols, device.F32, v.at(i, j), v.ld, v.dt, rows, cols)
	return b
}

// target returns where to compute rows of cols floats that store then brings to v.
func (v view) target(scratch unsafe.Pointer, i, j, cols int) block {
	if v.direct() {
		return block{v.at(i, j), v.ld}
	}
	return block{scratch, cols}
}

func (v view) store(b block, i, j, rows, cols int) {
	if !v.direct() {
		convert(v.at(i, j), v.ld, v.dt, b.p, b.ld, device.F32, rows, cols)
	}
}

// readable and writable return ErrUnsupported for types that load and store do not take.
func readable(what string, views ...view) error {
	for _, v := range views {
		switch v.dt {
		case 0, device.F32, device.F16, device.BF16, device.F8E4M3, device.F8E5M2:
		default:
			return unsupported(what, v.dt)
		}
	}
	return nil
}

func writable(what string, v view) error {
	switch v.dt {
	case device.F32, device.F16, device.BF16:
		return nil
	}
	return unsupported(what, v.dt)
}

func convert(dst unsafe.Pointer, ldd int, ddt device.DType, src unsafe.Pointer, lds int, sdt device.DType, rows, cols int) {
	C.gb_convert(dst, C.long(ldd), C.int(ddt), src, C.long(lds), C.int(sdt), C.long(rows), C.long(cols))
}

func floats(p unsafe.Pointer, n int) []float32 { return unsafe.Slice((*float32)(p), n) }

// floats returns an F32 operand, or nil for none, copied only where it is not aligned.
func (e *encoder) floats(m device.Mat) (block, error) {
	v := e.view(m)
	if v.none() {
		return block{}, nil
	}
	n := v.need(v.rows * v.cols)
	if n == 0 {
		return v.load(nil, 0, 0, v.rows, v.cols), nil
	}
	p, err := e.temp(n)
	if err != nil {
		return block{}, err
	}
	return v.load(p, 0, 0, v.rows, v.cols), nil
}
