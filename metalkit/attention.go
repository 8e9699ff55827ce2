package metalkit

import (
	"slices"

	"gimbal/inference/device"
)

// Flags of kernels/attention.metal.
const attentionRel, attentionKey = 1, 2

// attentionWidths are the columns of a head that the kernels' threadgroups take.
var attentionWidths = []int{32, 64, 128}

// A threadgroup of so many threads takes so many queries.
const attentionThreads, queriesOfGroup = 128, 32

type attentionArgs struct {
	nq, nk, d, ldq, ldk, ldv, ldo, ldrel uint32
	scale                                float32
}

func (e *encoder) Attention(a device.Attention) {
	const op = "Attention"
	a.Check()
	q, k, v, o := e.in(a.Q), e.in(a.K), e.in(a.V), e.out(a.O)
	rel, key := e.in(a.RelBias), e.in(a.KeyBias)
	nq, nk, head := a.Q.Rows, a.K.Rows, a.Q.Cols/a.Heads
	if !e.begin(op, nq, nq+nk, a.Q.Stride, a.K.Stride, a.V.Stride, a.O.Stride) || !e.readable(op, q, k, v) || !e.writable(op, o) {
		return
	}
	width := attentionWidths[len(attentionWidths)-1]
	for _, w := range slices.Backward(attentionWidths) {
		if head <= w {
			width = w
		}
	}
	parts := ceilDiv(head, width)
	if parts > 1 && a.O == a.Q { // a threadgroup would overwrite queries that another one reads
		into := a.O
		if a.O = e.temp(op, a.O.DType, nq, a.O.Cols); e.err != nil {
			return
		}
		e.Attention(a)
		e.Move(device.Move{X: a.O, Y: into})
		return
	}
	d := dispatch{
		kernel:  e.dev.compute.attention[width],
		with:    constants{a: q.dt, b: k.dt, c: v.dt, y: o.dt, flags: rel.flag(attentionRel) | key.flag(attentionKey), aligned: aligned(head, q, k, v)},
		groups:  [3]int{ceilDiv(nq, queriesOfGroup), a.Heads, parts},
		threads: attentionThreads,
		work:    2 * float64(nq) * float64(nk) * float64(a.Q.Cols) * float64(1+parts),
	}
	args := attentionArgs{uint32(nq), uint32(nk), uint32(head), q.ld, k.ld, v.ld, o.ld, rel.ld, a.Scale}
	record(e, d, &args, q, k, v, rel, key, o)
}
