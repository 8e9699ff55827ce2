package metalkit

import "gimbal/inference/device"

// Flags of kernels/attention.metal.
const attentionRel, attentionKey = 1, 2

type attentionArgs struct {
	nq, nk, d, ldq, ldk, ldv, ldo, ldrel uint32
	scale                                float32
}

// scores is an Attention with its operands found.
type scores struct {
	device.Attention
	q, k, v, o, rel, key operand
	with                 constants
	nq, nk, head, width  int
	sliced               bool
}

func (e *encoder) attention(a device.Attention) {
	const op = "Attention"
	width, sliced := widthOf(a.Q.Cols / a.Heads)
	parts := ceilDiv(a.Q.Cols/a.Heads, width) // each of which takes all scores anew
	work := a.Cost().FLOPs / 2 * int64(1+parts) * int64(parts*width) / int64(a.Q.Cols/a.Heads)
	if n := e.dev.rowsOfRun(a.Q.Rows, work); n < a.Q.Rows {
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
	s.with = constants{a: s.q.dt, b: s.k.dt, c: s.v.dt, y: s.o.dt, flags: s.rel.flag(attentionRel) | s.key.flag(attentionKey)}
	s.with.aligned = aligned(s.head, s.q, s.k, s.v)
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

// attend records s by number v of flashes.
func (e *encoder) attend(s *scores, v int) {
	f := flashes[v]
	parts, blocks := ceilDiv(s.head, f.width), ceilDiv(s.nq, f.queries())
	d := dispatch{
		kernel: e.dev.compute.attention[v], with: s.with, groups: [3]int{blocks, s.Heads, parts}, threads: 32 * f.simds,
		work:  2 * float64(s.nq) * float64(s.nk) * float64(s.Q.Cols) * float64(1+parts),
		sizes: [4]int{s.nq, s.nk, s.head, s.Heads},
		area:  float64(s.nq) / float64(blocks*f.queries()) * float64(s.head) / float64(parts*f.width),
	}
	// A head's keys and values stay in the cache while its threadgroups run; if they are
	// too many, those that run at once still read them together.
	d.moved = s.Cost().Bytes
	if keys := (s.K.Bytes() + s.V.Bytes()) / int64(s.Heads); keys > e.dev.cache {
		d.moved += int64(s.Heads) * int64(ceilDiv(blocks, e.dev.chip.resident(d.threads))-1) * keys
	}
	d.moved += int64(parts-1) * (s.Q.Bytes() + s.K.Bytes())
	args := attentionArgs{uint32(s.nq), uint32(s.nk), uint32(s.head), s.q.ld, s.k.ld, s.v.ld, s.o.ld, s.rel.ld, s.Scale}
	record(e, d, &args, s.q, s.k, s.v, s.rel, s.key, s.o)
}

// fits reports whether f can run s.
func (f flash) fits(s *scores, dtype uint32) bool {
	direct := s.k.dt == dtype && s.v.dt == dtype && s.head == f.width && s.nk%8 == 0
	return f.width == s.width && f.sliced == s.sliced && (!f.direct || direct)
}

// variantOfAttention is the number in flashes to run s by.
func (e *encoder) variantOfAttention(s *scores) int {
	fixed := max(e.dev.favoured.attention, 0)
	for !flashes[fixed].fits(s, e.dev.compute.dtype) {
		fixed = (fixed + 1) % len(flashes)
	}
	if e.dev.tuner == nil {
		return fixed
	}
	shape := shape{op: opAttention, sizes: [4]int{s.nq, s.nk, s.head, s.Heads}, with: s.with}
	if v, ok := e.dev.tuner.chosen(shape); ok {
		return v
	}
	return e.timeAttention(*s, shape, fixed)
}

func (e *encoder) timeAttention(s scores, shape shape, fixed int) int {
	c := contest{fixed: fixed}
	for i, f := range flashes {
		if f.fits(&s, e.dev.compute.dtype) {
			c.add(i, f.name(device.BF16))
		}
	}
	c.record = func(e *encoder, v int) { e.attend(&s, v) }
	c.trial = func(trial *encoder, v int) {
		t := s
		t.nq = trialRows(s.nq, s.O.Cols, s.O.DType, splitRows)
		t.Q, t.O = s.Q.RowRange(0, t.nq), trial.temp(s.O.DType, t.nq, s.O.Cols)
		t.o = trial.in(t.O)
		trial.attend(&t, v)
	}
	return e.time(shape, c)
}
