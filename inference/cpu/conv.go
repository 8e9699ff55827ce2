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

// conv gathers the inputs of a group of output pixels of one frame for some rows
// of the filters' taps, as rows of [kt, kh, kw, cin], and multiplies them by the
// filters in that order. Groups never span two frames, and which taps go together
// depends on the filter alone, so that a frame comes out the same in any company.
func (e *encoder) conv(c device.Conv) {
	v := conv{Conv: c, e: e, taps: c.KT * c.KH * c.KW}
	v.k = v.taps * c.X.C
	v.x, v.w, v.add = e.frames(c.X), e.view(c.W), e.frames(c.Add)
	v.prev = [2]frames{e.frames(c.Prev[0]), e.frames(c.Prev[1])}
	v.y = frames{e.out(c.Y.Range(0, min(c.Y.T, 1)).Mat()), c.Y.FrameStride}
	e.run(v.run)
}

type conv struct {
	device.Conv
	e         *encoder
	x, y, add frames
	prev      [2]frames
	w         view
	taps, k   int // inputs a channel, and a filter
	filters   block
	bias      unsafe.Pointer
	plain     bool // pixels are read in place: one tap a picture
	group     int  // output pixels at a time
	step      int  // rows of taps at a time
}

// frames are pictures in memory: a view of the first, as rows of pixels, and the
// elements from one to the next. The zero frames stand for none.
type frames struct {
	view
	stride int
}

func (e *encoder) frames(f device.Frames) frames {
	if f.IsZero() {
		return frames{}
	}
	return frames{e.view(f.Range(0, min(f.T, 1)).Mat()), f.FrameStride}
}

func (f frames) frame(t int) view {
	if !f.none() {
		f.p = unsafe.Add(f.p, t*f.stride*f.dt.Size())
	}
	return f.view
}

func (c *conv) run() error {
	if c.Y.T == 0 {
		return nil
	}
	if err := readable("X or W", c.x.view, c.w); err != nil {
		return err
	}
	for _, p := range c.prev {
		if !p.none() && p.dt != c.x.dt {
			return unsupported("a frame before an X of another type", p.dt)
		}
	}
	bias, err := c.e.floats(c.Bias)
	if err != nil {
		return err
	}
	c.bias = bias.p
	end := c.end(0)
	if err := end.types(); err != nil {
		return err
	}
	if err := c.packFilters(); err != nil {
		return err
	}
	c.plan()
	patches, raw := c.group*c.step*c.KW*c.X.C, 0
	if c.x.dt != device.F32 {
		raw = patches
	}
	acc, add := end.need(c.group * c.Y.C)
	if err := c.e.scratch(acc, add, patches, raw); err != nil {
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
	w := c.w
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
	end := c.end(t)
	out := end.product(w, first, 0, c.Y.C)
	begun := 0
	for tap := 0; tap < c.KT*c.KH; tap += c.step {
		taps := min(c.step, c.KT*c.KH-tap)
		if in[tap/c.KH] == nil && in[(tap+taps-1)/c.KH] == nil {
			continue // black frames add nothing
		}
		a := block{w.part(partOperand), taps * c.KW * c.X.C}
		if c.plain {
			a = view{p: in[tap], dt: c.x.dt, ld: c.X.C}.load(a.p, first, 0, n, a.ld)
		} else {
			c.gather(w, a, in, tap, taps, first, n)
		}
		gemmT(n, c.Y.C, taps*c.KW*c.X.C, a, c.filters.at(0, tap*c.KW*c.X.C), beta(begun), out)
		begun++
	}
	end.finish(w, out, first, 0, n, c.Y.C)
}

// gather writes the inputs of n output pixels for some rows of taps to a, whose
// rows have no gaps.
func (c *conv) gather(w *worker, a block, in [3]unsafe.Pointer, tap, taps, first, n int) {
	p := C.struct_gb_patch{
		cin: C.long(c.X.C), kh: C.long(c.KH), kw: C.long(c.KW),
		stride: C.long(c.Stride), padh: C.long(c.PadH), padw: C.long(c.PadW),
		h: C.long(c.X.H), w: C.long(c.X.W), wout: C.long(c.Y.W), size: C.long(c.x.dt.Size()),
	}
	if c.Upsample {
		p.up = 1
	}
	raw := a.p
	if c.x.dt != device.F32 {
		raw = w.part(partOperand + 1)
	}
	C.gb_pack_patches(raw, in[0], in[1], in[2], &p, C.long(tap), C.long(taps), C.long(first), C.long(n))
	if raw != a.p {
		convert(a.p, a.ld, device.F32, raw, a.ld, c.x.dt, n, a.ld)
	}
}

// input returns input frame t, counted from X's first; nil is black.
func (c *conv) input(t int) unsafe.Pointer {
	if t < 0 {
		return c.prev[len(c.prev)+t].p
	}
	return c.x.frame(t).p
}

func (c *conv) end(t int) epilogue {
	return epilogue{y: c.y.frame(t), add: c.add.frame(t), onto: c.Add.Buf == c.Y.Buf && c.Add.Offset == c.Y.Offset, bias: c.bias}
}
