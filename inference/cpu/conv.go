package cpu

// #include "kernels.h"
import "C"

import (
	"unsafe"

	"gimbal/inference/device"
)

// patchElems is about how many gathered inputs are multiplied at a time.
const patchElems = 1 << 20

// Conv gathers the inputs of a group of output pixels of one frame as rows of
// [kt, kh, kw, cin] and multiplies them by the filters in that order. Groups never
// span two frames, so that a frame comes out the same in any company.
func (e *encoder) Conv(c device.Conv) {
	c.Check()
	v := conv{Conv: c, e: e, taps: c.KT * c.KH * c.KW}
	v.k = v.taps * c.X.C
	e.run("Conv", v.run)
}

type conv struct {
	device.Conv
	e       *encoder
	taps, k int // inputs a channel, and a filter
	filters block
	bias    unsafe.Pointer
	group   int // output pixels
}

func (c *conv) run() error {
	if c.Y.T == 0 {
		return nil
	}
	x, end := c.frame(c.X, 0), c.end(0)
	if err := readable("X", x); err != nil {
		return err
	}
	for _, p := range c.Prev {
		if !p.IsZero() && p.DType != c.X.DType {
			return unsupported("a frame before an X of another type", p.DType)
		}
	}
	if err := end.types(); err != nil {
		return err
	}
	bias, err := c.e.floats(c.Bias)
	if err != nil {
		return err
	}
	c.bias = bias.p
	if err := c.packFilters(); err != nil {
		return err
	}
	pixels := c.Y.H * c.Y.W
	c.group = spread(pixels, clamp(patchElems/c.k, 16, 1024), 16)
	acc, add := end.need(c.group * c.Y.C)
	raw := 0
	if c.X.DType != device.F32 {
		raw = c.group * c.k
	}
	if err := c.e.scratch(acc, add, c.group*c.k, raw); err != nil {
		return err
	}
	groups := ceilDiv(pixels, c.group)
	return c.e.each(c.Y.T*groups, func(w *worker, i int) {
		first := i % groups * c.group
		c.pixels(w, i/groups, first, min(c.group, pixels-first))
	})
}

// packFilters brings the filters from [cin, kt, kh, kw] to [kt, kh, kw, cin].
func (c *conv) packFilters() error {
	w := c.e.view(c.W)
	if err := readable("weights", w); err != nil {
		return err
	}
	if c.taps == 1 && w.direct() {
		c.filters = block{w.p, w.ld}
		return nil
	}
	packed, err := c.e.temp(w.rows * c.k)
	if err != nil {
		return err
	}
	c.filters = block{packed, c.k}
	const rows = 8
	if err := c.e.scratch(w.need(rows * c.k)); err != nil {
		return err
	}
	return c.e.each(ceilDiv(w.rows, rows), func(wk *worker, i int) {
		n := min(rows, w.rows-i*rows)
		src := w.load(wk.part(0), i*rows, 0, n, c.k)
		C.gb_pack_weights(c.filters.at(i*rows, 0).p, src.p, C.long(src.ld), C.long(c.X.C), C.long(c.taps), C.long(n))
	})
}

// pixels computes n pixels of output frame t from pixel first on.
func (c *conv) pixels(w *worker, t, first, n int) {
	var in [3]unsafe.Pointer
	for i := range c.KT {
		in[i] = c.input(t*c.StrideT - (c.KT - 1) + i)
	}
	black := 0 // frames at the beginning that add nothing
	for in[black] == nil {
		black++
	}
	kt := c.KT - black
	k := c.k / c.KT * kt
	a := block{w.part(partOperand), k}
	if c.taps == 1 && c.Stride == 1 && !c.Upsample && c.Y.W == c.X.W {
		a = c.frame(c.X, t*c.StrideT).load(a.p, first, 0, n, k)
	} else {
		c.gather(w, a, in[black:], kt, first, n)
	}
	end := c.end(t)
	out := end.product(w, first, 0, c.Y.C)
	gemmT(n, c.Y.C, k, a, c.filters.at(0, c.k-k), 0, out)
	end.finish(w, out, first, 0, n, c.Y.C)
}

// gather writes the inputs of n output pixels to a.
func (c *conv) gather(w *worker, a block, in []unsafe.Pointer, kt, first, n int) {
	p := C.struct_gb_patch{
		cin: C.long(c.X.C), kt: C.long(kt), kh: C.long(c.KH), kw: C.long(c.KW),
		stride: C.long(c.Stride), padh: C.long(c.PadH), padw: C.long(c.PadW),
		h: C.long(c.X.H), w: C.long(c.X.W), wout: C.long(c.Y.W), size: C.long(c.X.DType.Size()),
	}
	if c.Upsample {
		p.up = 1
	}
	var f [3]unsafe.Pointer
	copy(f[:], in)
	raw := a.p
	if c.X.DType != device.F32 {
		raw = w.part(partOperand + 1)
	}
	C.gb_pack_patches(raw, f[0], f[1], f[2], &p, C.long(first), C.long(n))
	if raw != a.p {
		convert(a.p, a.ld, device.F32, raw, a.ld, c.X.DType, n, a.ld)
	}
}

// input returns input frame t, counted from X's first; nil is black.
func (c *conv) input(t int) unsafe.Pointer {
	if t >= 0 {
		return c.frame(c.X, t).p
	}
	if p := c.Prev[len(c.Prev)+t]; !p.IsZero() {
		return c.frame(p, 0).p
	}
	return nil
}

// frame views frame t of f as rows of pixels; the zero Frames gives the zero view.
func (c *conv) frame(f device.Frames, t int) view {
	if f.IsZero() {
		return view{}
	}
	return c.e.view(f.Range(t, t+1).Mat())
}

func (c *conv) end(t int) epilogue {
	return epilogue{y: c.e.out(c.Y.Range(t, t+1).Mat()), add: c.frame(c.Add, t), bias: c.bias}
}
