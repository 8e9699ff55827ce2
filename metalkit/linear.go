package metalkit

import (
	"math/bits"

	"gimbal/inference/device"
	"gimbal/metalkit/internal/driver"
	"gimbal/metalkit/internal/tune"
)

// The types that a weight may have beyond those of package device, numbered as in
// kernels/common.h.
const (
	typeNF4       = 10
	typeNF4Nested = 11
	typeQ4_0      = 12 // and the other formats of GGUF after it
)

// Flags of kernels/linear.metal.
const (
	linearBias, linearGate, linearAdd, linearScale   = 1, 2, 4, 8
	linearShift, linearRawX, linearRawW, linearWhole = 16, 32, 64, 128
	linearOcts                                       = 256
)

// skinnyRows is how many rows of X, at most, go to linear_rows.
const skinnyRows = 4

type linearArgs struct {
	m, n, k, ldx, ldw, ldadd, ldy uint32
	block, nestedBlock            uint32
	nestedOffset                  float32
	band, byColumns               uint32
}

// product is a Linear with its operands found.
type product struct {
	device.Linear
	x, y, add, bias, gate              operand
	w, scale, code, nested, nestedCode operand
	with                               driver.Constants
	m, n, k                            int
}

// weightType numbers the type of w for the kernels.
func weightType(w device.Weight) uint32 {
	switch {
	case w.Format == device.NF4 && w.Nested.IsZero():
		return typeNF4
	case w.Format == device.NF4:
		return typeNF4Nested
	case w.Format >= device.Q4_0:
		return typeQ4_0 + uint32(w.Format-device.Q4_0)
	}
	return uint32(w.Data.DType)
}

func (e *encoder) linear(l device.Linear) {
	const op = "Linear"
	if n := e.rowsOfCommandBuffer(l.X.Rows, l.Cost().FLOPs); n < l.X.Rows {
		e.splitLinear(l, n)
		return
	}
	p := product{
		Linear: l, m: l.X.Rows, n: l.W.Out, k: l.W.In,
		x: e.in(l.X), y: e.out(l.Y), add: e.in(l.Add), bias: e.in(l.Bias), gate: e.in(l.Gate),
		w: e.in(l.W.Data), scale: e.in(l.W.Scale), code: e.in(l.W.Code), nested: e.in(l.W.Nested), nestedCode: e.in(l.W.NestedCode),
	}
	if !e.begin(op, l.Cost(), p.m, l.X.Stride, l.Y.Stride, l.W.Data.Stride) || !e.readable(op, p.x, p.add) || !e.writable(op, p.y) {
		return
	}
	p.with = driver.Constants{A: p.x.dt, B: weightType(l.W), C: p.add.dt, Y: p.y.dt, Func: uint32(l.Act)}
	p.with.Flags = p.bias.flag(linearBias) | p.gate.flag(linearGate) | p.add.flag(linearAdd)
	if l.W.Format == device.NF4 && l.W.Block&(l.W.Block-1) == 0 && l.W.NestedBlock&(l.W.NestedBlock-1) == 0 {
		p.with.Flags |= linearShift
	}
	switch {
	case l.W.Format == device.INT8 || l.W.Format == device.FP8:
		p.with.Flags |= linearScale
	case l.W.Format == device.Dense && !e.readable(op, p.w):
		return
	}
	p.with.Aligned = aligned(p.k|l.W.Block, p.x, p.w) // a multiple of 4 if both are
	if p.with.B >= typeQ4_0 {
		p.with.Aligned = aligned(p.k, p.x) // blocks are read byte by byte
	}
	if p.m <= skinnyRows {
		d := dispatch{kernel: "linear_rows", with: p.with, groups: [3]int{ceilDiv(p.n, 4), 1, 1}, threads: 128, moved: l.Cost().Bytes, sizes: p.sizes(), productFLOPs: p.flops()}
		e.linearDispatch(&p, d, swizzle{})
		return
	}
	e.product(&p, e.variantOfLinear(&p))
}

// product records p by number number of linearVariants.
func (e *encoder) product(p *product, number int) {
	e.variant = number
	q, v := *p, linearVariants()[number]
	if v.expand {
		e.expand(&q)
	}
	dtype, t := e.dev.variants.dtype, e.dev.tileOf(v)
	if v.wide {
		dtype = uint32(device.F32)
	}
	q.with.Flags |= q.shortcuts(dtype)
	wide, high := ceilDiv(q.n, t.cols), ceilDiv(q.m, t.rows)
	row, col := int64(t.rows)*q.rowBytes(), q.W.Bytes()/int64(wide)
	s := swizzleOf(wide, high, row, col, e.dev.cache)
	d := dispatch{
		kernel: t.kernel, with: q.with, groups: [3]int{wide * high, 1, 1}, threads: t.threads(), sizes: q.sizes(),
		productFLOPs: q.flops(), matmul2d: t.matmul2d, useful: float64(q.m) * float64(q.n) / float64(wide*t.cols*high*t.rows),
	}
	d.moved = s.moved + q.rest()
	e.linearDispatch(&q, d, s)
}

// shortcuts are the flags of what the tiles need not convert or test.
func (p *product) shortcuts(dtype uint32) (flags uint32) {
	if p.x.dt == dtype {
		flags |= linearRawX
	}
	if p.with.B == dtype {
		flags |= linearRawW
	}
	if p.k%32 == 0 {
		flags |= linearWhole
	}
	if dtype != uint32(device.F32) && flags == linearRawX|linearRawW|linearWhole && p.x.octs && p.w.octs {
		flags |= linearOcts
	}
	return flags
}

func (p *product) sizes() [4]int { return [4]int{p.m, p.k, p.n} }

func (p *product) flops() float64 { return 2 * float64(p.m) * float64(p.n) * float64(p.k) }

func (p *product) rowBytes() int64 { return int64(p.k) * int64(p.X.DType.Size()) }

// rest is how many bytes are moved beside X and W.
func (p *product) rest() int64 {
	return p.Bias.Bytes() + p.Gate.Bytes() + p.Add.Bytes() + p.Y.Bytes()
}

func (p *product) args(s swizzle) linearArgs {
	band, byColumns := s.args()
	block, nested := uint32(p.W.Block), uint32(p.W.NestedBlock)
	if p.with.Flags&linearShift != 0 {
		block, nested = uint32(bits.TrailingZeros32(block)), uint32(bits.TrailingZeros32(nested))
	}
	return linearArgs{
		m: uint32(p.m), n: uint32(p.n), k: uint32(p.k), ldx: p.x.ld, ldw: p.w.ld, ldadd: p.add.ld, ldy: p.y.ld,
		block: block, nestedBlock: nested, nestedOffset: p.W.NestedOffset,
		band: band, byColumns: byColumns,
	}
}

func (e *encoder) linearDispatch(p *product, d dispatch, s swizzle) {
	args := p.args(s)
	record(e, d, &args, p.x, p.w, p.scale, p.code, p.nested, p.nestedCode, p.bias, p.gate, p.add, p.y)
}

// expand records the weights' way to the type that the kernels multiply in, and
// gives p those. The scales of INT8 and FP8 stay for the end.
func (e *encoder) expand(p *product) {
	to := e.temp(device.DType(e.dev.variants.dtype), p.n, p.k)
	dense := e.in(to)
	d := dispatch{kernel: e.dev.variants.expand, with: p.with, groups: [3]int{ceilDiv(p.k, elementsOfGroup), p.n, 1}, threads: 256}
	d.moved = p.W.Bytes() + to.Bytes()
	args := p.args(swizzle{})
	record(e, d, &args, p.w, p.scale, p.code, p.nested, p.nestedCode, dense)
	p.W, p.w, p.with.B = device.DenseWeight(to), dense, dense.dt
	p.with.Aligned = aligned(p.k, p.x, p.w)
}

// runs reports whether v can run p on d.
func (v linearVariant) runs(p *product, d *gpu) bool {
	if v.tile >= len(d.variants.linear) {
		return false
	}
	dtype, t := d.variants.dtype, d.variants.linear[v.tile]
	dense := v.expand || p.with.B == dtype
	if v.expand && p.with.B == dtype {
		return false // there is nothing to do
	}
	if v.wide && !(d.widens() && p.x.dt == dtype && p.with.B == dtype) {
		return false
	}
	switch {
	case t.matmul2d && v.expand:
		return p.x.dt == dtype && p.x.isTensor() && p.k%8 == 0 && p.k*device.DType(dtype).Size() <= tensorRow
	case t.matmul2d:
		return p.x.dt == dtype && p.x.isTensor() && p.w.isTensor() && (t.int8 && p.with.B == uint32(device.I8) || !t.int8 && dense)
	}
	return (t.direct < 1 || dense && p.n%8 == 0 && p.k%8 == 0) && (t.direct < 2 || p.x.dt == dtype && p.m%8 == 0)
}

// tensorRow is how many bytes apart rows may begin that matmul2d reads, see kernels/metal4.h.
const tensorRow = 1<<16 - 1

// isTensor reports whether matmul2d may read o as it is.
func (o operand) isTensor() bool { return o.octs && int(o.ld)*device.DType(o.dt).Size() <= tensorRow }

// tensors has a bit for each of X and W that is one.
func (p *product) tensors() (bits uint32) {
	if p.x.isTensor() {
		bits |= linearRawX
	}
	if p.w.isTensor() {
		bits |= linearRawW
	}
	return bits
}

// variantOfLinear is the number of the variant to run p by. matmul2d is taken where it is the fastest
// or forced, and never in another one's place.
func (e *encoder) variantOfLinear(p *product) int {
	fixed := fixedTile(e.dev.variants.linear, p.n) // the tiles are the first variants
	if f := e.forced; f.op == tune.Linear && linearVariants()[f.variant].runs(p, e.dev) {
		fixed = f.variant
	}
	all, asked := linearVariants(), fixed
	fixed = e.usable(fixed, len(all), func(v int) (string, bool) {
		if !all[v].runs(p, e.dev) {
			return "", false
		}
		t := e.dev.tileOf(all[v])
		return t.kernel, v == asked || !t.matmul2d
	})
	s := tune.Shape{Op: tune.Linear, Sizes: [4]int{e.tunedRows(p.m, p.n, p.Y.DType), p.n, p.k, p.m % 8}}
	s.With = driver.Constants{A: p.with.A, B: p.with.B, Aligned: p.with.Aligned} // whatever comes after the product
	if e.dev.limits.Matmul2D {
		s.With.Flags = p.tensors() // what fits them does not fit others of the same size
	}
	if v, ok := e.chosen(s, fixed); ok {
		return v
	}
	return e.autotuneLinear(*p, s, fixed)
}

func (e *encoder) autotuneLinear(p product, s tune.Shape, fixed int) int {
	a := autotune{op: p.Linear, shape: s, fixed: fixed}
	for i, v := range linearVariants() {
		if v.runs(&p, e.dev) {
			a.add(e, i, v.name, e.dev.tileOf(v).kernel)
		}
	}
	a.record = func(e *encoder, v int) { e.product(&p, v) }
	a.benchmark = func(e *encoder, v int) device.Mat {
		q := p
		q.m = benchmarkRows(p.m, p.n, p.Y.DType, splitRows)
		q.X, q.Y = p.X.RowRange(0, q.m), e.temp(p.Y.DType, q.m, p.n)
		q.y = e.in(q.Y)
		switch p.Add.Buf {
		case nil:
		case p.Y.Buf:
			q.Add, q.add, q.with.C = q.Y, q.y, q.y.dt
		default:
			q.Add = p.Add.RowRange(0, q.m)
		}
		e.product(&q, v)
		return q.Y
	}
	return e.autotune(a)
}
