package cpu

// #include "kernels.h"
import "C"

import (
	"unsafe"

	"gimbal/inference/device"
)

// weight is the right-hand matrix of a Linear, read by panels of whole rows.
type weight struct {
	data   view
	in     int
	direct bool // floats that BLAS can read in place

	nf4   bool
	block int
	code  unsafe.Pointer
	scale unsafe.Pointer // I8: one a row; NF4: one a block
}

func (e *encoder) weight(w device.Weight) (weight, error) {
	r := weight{data: e.view(w.Data), in: w.In, nf4: w.NF4, block: w.Block}
	if w.NF4 {
		code, err := e.floats(w.Code)
		if err != nil {
			return r, err
		}
		r.code = code.p
		r.scale, err = e.blockScales(w)
		return r, err
	}
	if w.Data.DType == device.I8 {
		scale, err := e.floats(w.Scale)
		r.scale = scale.p
		return r, err
	}
	r.direct = r.data.direct()
	return r, readable("weights", r.data)
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

// need returns the scratch that panel takes for n weights.
func (r weight) need(n int) int {
	if r.direct {
		return 0
	}
	return n
}

// panel returns rows o to o+rows-1 as floats, in scratch where need asks for it.
func (r weight) panel(scratch unsafe.Pointer, o, rows int) block {
	b := block{scratch, r.in}
	switch {
	case r.nf4:
		first := o * r.in
		C.gb_widen_nf4(b.p, r.data.p, C.long(first), C.long(rows*r.in), C.long(r.block), r.code, unsafe.Add(r.scale, first/r.block*4))
	case r.data.dt == device.I8:
		C.gb_widen_i8(b.p, C.long(r.in), r.data.at(o, 0), C.long(r.data.ld), unsafe.Add(r.scale, o*4), C.long(rows), C.long(r.in))
	default:
		return r.data.load(scratch, o, 0, rows, r.in)
	}
	return b
}
