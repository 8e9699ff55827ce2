package metalkit

import (
	"gimbal/inference/device"
	"gimbal/metalkit/internal/driver"
	"gimbal/metalkit/internal/tune"
)

// Flags of kernels/attention.metal.
const (
	attentionRel, attentionKey                                  = 1, 2
	attentionRawQ, attentionRawK, attentionRawV, attentionWhole = 4, 8, 16, 32
	attentionOcts                                               = 64
)

// attentionTensors stands beside them in what a variant is chosen for, and no kernel is given it.
const attentionTensors = 1 << 31

type attentionArgs struct {
	nq, nk, d, ldq, ldk, ldv, ldo, ldrel uint32
	scale                                float32
}

// scores is an Attention with its operands found.
type scores struct {
	device.Attention
	q, k, v, o, rel, key operand
	with                 driver.Constants
	nq, nk, head, width  int
	sliced               bool
}

func (e *encoder) attention(a device.Attention) {
	const op = "Attention"
	width, sliced := e.dev.variants.attentionWidth(a.Q.Cols / a.Heads)
	parts := ceilDiv(a.Q.Cols/a.Heads, width) // each of which takes all scores anew
	work := a.Cost().FLOPs / 2 * int64(1+parts) * int64(parts*width) / int64(a.Q.Cols/a.Heads)
	if n := e.rowsOfCommandBuffer(a.Q.Rows, work); n < a.Q.Rows {
		e.splitAttention(a, n)
		return
	}
	s := scores{
		Attention: a, nq: a.Q.Rows, nk: a.K.Rows, head: a.Q.Cols / a.Heads,
		width: width, sliced: sliced,
		q: e.in(a.Q), k: e.in(a.K), v: e.in(a.V), o: e.out(a.O), rel: e.in(a.RelBias), key: e.in(a.KeyBias),
	}
	if !e.begin(op, a.Cost(), s.nq, s.nq+s.nk, a.Q.Stride, a.K.Stride, a.V.Stride, a.O.Stride) || !e.readable(op, s.q, s.k, s.v) || !e.writable(op, s.o) {
		return
	}
	s.with = driver.Constants{A: s.q.dt, B: s.k.dt, C: s.v.dt, Y: s.o.dt, Flags: s.rel.flag(attentionRel) | s.key.flag(attentionKey)}
	s.with.Aligned = aligned(s.head, s.q, s.k, s.v)
	for _, o := range []struct{ dt, flag uint32 }{{s.q.dt, attentionRawQ}, {s.k.dt, attentionRawK}, {s.v.dt, attentionRawV}} {
		if o.dt == e.dev.variants.dtype {
			s.with.Flags |= o.flag
		}
	}
	if s.head%s.width == 0 {
		s.with.Flags |= attentionWhole
	}
	const raw = attentionRawQ | attentionRawK | attentionRawV | attentionWhole
	if e.dev.variants.dtype != uint32(device.F32) && s.with.Flags&raw == raw && s.q.octs && s.k.octs && s.v.octs && s.head%8 == 0 {
		s.with.Flags |= attentionOcts
	}
	if !s.sliced || a.O != a.Q {
		e.attend(&s, e.variantOfAttention(&s))
		return
	}
	// A threadgroup would overwrite queries that another one reads.
	into := s.o
	s.O = e.temp(a.O.DType, s.nq, a.O.Cols)
	s.o = e.in(s.O)
	e.attend(&s, e.variantOfAttention(&s))
	kernel, with := e.mover(op, s.O, a.O, moveRaw, "")
	e.copy(kernel, with, s.O, a.O, s.o, into)
}

// attend records s by number v of the variants.
func (e *encoder) attend(s *scores, v int) {
	e.variant = v
	t := e.dev.variants.attention[v]
	parts, blocks := ceilDiv(s.head, t.width), ceilDiv(s.nq, t.queries())
	d := dispatch{
		kernel: t.kernel, with: s.with, groups: [3]int{blocks, s.Heads, parts}, threads: simdWidth * t.simds,
		productFLOPs: 2 * float64(s.nq) * float64(s.nk) * float64(s.Q.Cols) * float64(1+parts), matmul2d: t.matmul2d,
		sizes:  [4]int{s.nq, s.nk, s.head, s.Heads},
		useful: float64(s.nq) / float64(blocks*t.queries()) * float64(s.head) / float64(parts*t.width),
	}
	// A head's keys and values stay in the cache while its threadgroups run; if they are
	// too many, those that run at once still read them together.
	d.moved = s.Cost().Bytes
	if keys := (s.K.Bytes() + s.V.Bytes()) / int64(s.Heads); keys > e.dev.cache {
		d.moved += int64(s.Heads) * int64(ceilDiv(blocks, e.dev.chip.Resident(d.threads))-1) * keys
	}
	d.moved += int64(parts-1) * (s.Q.Bytes() + s.K.Bytes())
	args := attentionArgs{uint32(s.nq), uint32(s.nk), uint32(s.head), s.q.ld, s.k.ld, s.v.ld, s.o.ld, s.rel.ld, s.Scale}
	record(e, d, &args, s.q, s.k, s.v, s.rel, s.key, s.o)
}

// runs reports whether t can run s in a type of products.
func (t attentionTile) runs(s *scores, dtype uint32) bool {
	as := s.k.dt == dtype && s.v.dt == dtype && s.head == t.width // K and V are read as they are
	return t.width == s.width && t.sliced == s.sliced && (!t.direct || as && s.nk%8 == 0) &&
		(!t.matmul2d || as && s.tensors() && s.nk >= t.keys)
}

// tensors reports whether matmul2d may read K and V as they are.
func (s *scores) tensors() bool { return s.k.isTensor() && s.v.isTensor() }

// variantOfAttention is the number of the variant to run s by. matmul2d is taken where it is the fastest
// or forced, and never in another one's place.
func (e *encoder) variantOfAttention(s *scores) int {
	all := e.dev.variants
	fixed := 0
	if e.forced.op == tune.Attention && all.attention[e.forced.variant].runs(s, all.dtype) {
		fixed = e.forced.variant
	}
	asked := fixed
	fixed = e.usable(fixed, len(all.attention), func(v int) (string, bool) {
		t := all.attention[v]
		return t.kernel, t.runs(s, all.dtype) && (v == asked || !t.matmul2d)
	})
	shape := tune.Shape{Op: tune.Attention, Sizes: [4]int{e.tunedRows(s.nq, s.O.Cols, s.O.DType), s.nk, s.head, s.Heads}, With: s.with}
	if e.dev.limits.Matmul2D && s.tensors() {
		shape.With.Flags |= attentionTensors // what fits these does not fit others of the same size
	}
	if v, ok := e.chosen(shape, fixed); ok {
		return v
	}
	return e.autotuneAttention(*s, shape, fixed)
}

func (e *encoder) autotuneAttention(s scores, shape tune.Shape, fixed int) int {
	a := autotune{op: s.Attention, shape: shape, fixed: fixed}
	for i, t := range e.dev.variants.attention {
		if t.runs(&s, e.dev.variants.dtype) {
			a.add(e, i, t.name, t.kernel)
		}
	}
	a.record = func(e *encoder, v int) { e.attend(&s, v) }
	a.benchmark = func(e *encoder, v int) device.Mat {
		part := s
		part.nq = benchmarkRows(s.nq, s.O.Cols, s.O.DType, splitRows)
		part.Q, part.O = s.Q.RowRange(0, part.nq), e.temp(s.O.DType, part.nq, s.O.Cols)
		part.o = e.in(part.O)
		e.attend(&part, v)
		return part.O
	}
	return e.autotune(a)
}
