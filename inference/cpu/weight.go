package cpu

// #include "kernels.h"
import "C"

import (
	"unsafe"

	"gimbal/inference/device"
)

// weight is the right-hand matrix of a Linear.
type weight struct {
	format device.Format
	data   view
	in     int
	block  int
	code   unsafe.Pointer
	scale  unsafe.Pointer // INT8 and FP8: one per row; NF4: one per block
}

func (e *encoder) weight(w device.Weight) (weight, error) {
	r := weight{format: w.Format, data: e.view(w.Data), in: w.In, block: w.Block}
	switch w.Format {
	case device.INT8, device.FP8:
		scale, err := e.floats(w.Scale)
		r.scale = scale.p
		return r, err
	case device.NF4:
		code, err := e.floats(w.Code)
		if err != nil {
			return r, err
		}
		r.code = code.p
		r.scale, err = e.blockScales(w)
		return r, err
	case device.Dense:
		return r, readable("weights", r.data)
	}
	return r, nil
}

// blockScales returns the scales of NF4 weights, undoing their own quantisation.
func (e *encoder) blockScales(w device.Weight) (unsafe.Pointer, error) {
	if w.Nested.IsZero() {
		scale, err := e.floats(w.Scale)
		return scale.p, err
	}
	nested, err := e.floats(w.Nested)
	if err != nil {
		return nil, err
	}
	code, err := e.floats(w.NestedCode)
	if err != nil {
		return nil, err
	}
	n := w.Scale.Cols
	scale, err := e.temp(n)
	if err != nil {
		return nil, err
	}
	src := e.view(w.Scale)
	const part = 64 << 10
	err = e.each(ceilDiv(n, part), func(_ *worker, i int) {
		C.gb_nested_scales(unsafe.Add(scale, i*part*4), src.p, C.long(i*part), C.long(min(part, n-i*part)),
			C.long(w.NestedBlock), code.p, nested.p, C.float(w.NestedOffset))
	})
	return scale, err
}

// need returns the scratch that load takes for n weights.
func (r weight) need(n int) int {
	if r.format == device.Dense {
		return r.data.need(n)
	}
	return n
}

// load returns rows x cols weights from row o, column d on as floats, widened to
// scratch where need asks for it. d is a multiple of wideDepth.
func (r weight) load(scratch unsafe.Pointer, o, d, rows, cols int) block {
	b := block{scratch, cols}
	switch r.format {
	case device.NF4:
		C.gb_widen_nf4(b.p, C.long(b.ld), r.data.p, C.long(o*r.in+d), C.long(r.in), C.long(r.block), r.code, r.scale, C.long(rows), C.long(cols))
	case device.INT8:
		C.gb_widen_i8(b.p, C.long(b.ld), r.data.at(o, d), C.long(r.data.ld), unsafe.Add(r.scale, o*4), C.long(rows), C.long(cols))
	case device.FP8:
		convert(b.p, b.ld, device.F32, r.data.at(o, d), r.data.ld, r.data.dt, rows, cols)
		C.gb_scale_rows(b.p, C.long(b.ld), unsafe.Add(r.scale, o*4), C.long(rows), C.long(cols))
	case device.Dense:
		return r.data.load(scratch, o, d, rows, cols)
	default:
		C.gb_widen_blocks(b.p, C.long(b.ld), r.data.at(o, r.format.RowBytes(d)), C.long(r.data.ld), C.int(r.format), C.long(rows), C.long(cols))
	}
	return b
}
