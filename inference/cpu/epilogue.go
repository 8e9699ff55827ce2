package cpu

// #include "kernels.h"
import "C"

import (
	"unsafe"

	"gimbal/inference/device"
)

// epilogue is what becomes of a product: y = add + gate * act(product + bias).
type epilogue struct {
	y, add     view
	onto       bool // add is y
	bias, gate unsafe.Pointer
	act        device.Func
}

// product and addend are the parts of scratch that an epilogue uses.
const (
	partProduct = iota
	partAddend
	partOperand // the first one that is free for the operation
)

func (p epilogue) types() error {
	if err := readable("Add", p.add); err != nil {
		return err
	}
	return writable("Y", p.y)
}

// inPlace reports whether the product can be computed in y's memory.
func (p epilogue) inPlace() bool { return p.y.direct() && !p.onto }

// need returns the scratch for tiles of n elements: partProduct, partAddend.
func (p epilogue) need(n int) (product, addend int) {
	if !p.inPlace() {
		product = n
	}
	return product, p.add.need(n)
}

// product returns where the product that becomes y's tile at (i, j) goes.
func (p epilogue) product(w *worker, i, j, cols int) block {
	if p.inPlace() {
		return block{p.y.at(i, j), p.y.ld}
	}
	return block{w.part(partProduct), cols}
}

// finish makes y's tile at (i, j) of the product.
func (p epilogue) finish(w *worker, product block, i, j, rows, cols int) {
	out := p.y.target(product.p, i, j, cols)
	if out != product || p.bias != nil || p.act != device.Identity || p.gate != nil || !p.add.none() {
		var add block
		if !p.add.none() {
			add = p.add.load(w.part(partAddend), i, j, rows, cols)
		}
		C.gb_epilogue(out.p, C.long(out.ld), product.p, C.long(product.ld), column(p.bias, j), C.int(p.act),
			column(p.gate, j), add.p, C.long(add.ld), C.long(rows), C.long(cols))
	}
	p.y.store(out, i, j, rows, cols)
}

// column returns the address of element j of a row of floats, nil for no row.
func column(row unsafe.Pointer, j int) unsafe.Pointer {
	if row == nil {
		return nil
	}
	return unsafe.Add(row, j*4)
}
