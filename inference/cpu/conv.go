package cpu

// #include "kernels.h"
import "C"

import (
	"unsafe"

	"gimbal/inference/device"
)

// The inputs that are gathered at a time: enough columns for BLAS, and not more
// pixels than the caches hold.
const (
	patchElems = 512 << 10
	patchCols  = 256
	groupMost  = 1024
	groupLeast = 128 // where a frame has more
	fewGroups  = 8   // below this, groups of pixels are made smaller
)

// Conv gathers the inputs of a group of output pixels of one frame for some rows
// of the filters' taps, as rows of [kt, kh, kw, cin], and multiplies them by the
// filters in that order. Groups never span two frames, and which taps go together
// depends on the filter alone, so that a frame comes out the same in any company.
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
	plain   bool // pixels are read in place: one tap a picture
	group   int  // output pixels at a time
	step    int  // rows of taps at a time
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
	c.plan()
	raw := 0
	if c.X.DType != device.F32 {
		raw = c.group * c.step * c.KW * c.X.C
	}
	acc, add := end.need(c.group * c.Y.C)
	if err := c.e.scratch(acc, add, c.group*c.step*c.KW*c.X.C, raw); err != nil {
		return err
	}
	pixels := c.Y.H * c.Y.W
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

// plan chooses the sizes of the parts.
func (c *conv) plan() {
	c.plain = c.KH == 1 && c.KW == 1 && c.Stride == 1 && !c.Upsample && c.Y.W == c.X.W
	c.step = 1
	if !c.plain {
		c.step = clamp(ceilDiv(patchCols, c.KW*c.X.C), 1, c.KT*c.KH)
	}
	pixels := c.Y.H * c.Y.W
	c.group = clamp(patchElems/(c.step*c.KW*c.X.C), groupLeast, groupMost)
	if pixels < fewGroups*c.group {
		c.group = max(ceilDiv(pixels, fewGroups), groupLeast)
	}
	c.group = spread(pixels, c.group, 16)
}

// pixels computes n pixels of output frame t from pixel first on.
func (c *conv) pixels(w *worker, t, first, n int) {
	var in [3]unsafe.Pointer
	for i := range c.KT {
		in[i] = c.input(t*c.StrideT - (c.KT - 1) + i)
	}
	start := 0 // black frames at the beginning add nothing
	for in[start/c.KH] == nil {
		start += c.KH
	}
	start -= start % c.step
	end := c.end(t)
	out := end.product(w, first, 0, c.Y.C)
	for tap := start; tap < c.KT*c.KH; tap += c.step {
		taps := min(c.step, c.KT*c.KH-tap)
		a := block{w.part(partOperand), taps * c.KW * c.X.C}
		if c.plain {
			a = view{in[tap], c.X.DType, c.Y.H * c.Y.W, c.X.C, c.X.C}.load(a.p, first, 0, n, a.ld)
		} else {
			c.gather(w, a, in, tap, taps, first, n)
		}
		gemmT(n, c.Y.C, a.ld, a, c.filters.at(0, tap*c.KW*c.X.C), beta(tap-start), out)
	}
	end.finish(w, out, first, 0, n, c.Y.C)
}

// gather writes the inputs of n output pixels for some rows of taps to a.
func (c *conv) gather(w *worker, a block, in [3]unsafe.Pointer, tap, taps, first, n int) {
	p := C.struct_gb_patch{
		cin: C.long(c.X.C), kh: C.long(c.KH), kw: C.long(c.KW),
		stride: C.long(c.Stride), padh: C.long(c.PadH), padw: C.long(c.PadW),
		h: C.long(c.X.H), w: C.long(c.X.W), wout: C.long(c.Y.W), size: C.long(c.X.DType.Size()),
	}
	if c.Upsample {
		p.up = 1
	}
	raw := a.p
	if c.X.DType != device.F32 {
		raw = w.part(partOperand + 1)
	}
	C.gb_pack_patches(raw, in[0], in[1], in[2], &p, C.long(tap), C.long(taps), C.long(first), C.long(n))
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
