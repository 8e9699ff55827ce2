package wan

import (
	"math"

	"gimbal/inference/device"
)

// activations are the matrices that every block works in.
type activations struct {
	x device.Mat // [tokens, dim], the residual stream
	h device.Mat // [tokens, dim], a normalised copy of it, or what is to be added to it
	// room is one row that holds queries, keys and values, each [tokens, dim], or
	// the feed-forward's hidden layer, [tokens, ffn_dim]: never both.
	room device.Mat
}

func newActivations(mem *memory, cfg Config, tokens int) activations {
	return activations{
		x:    mem.mat("x", tokens, cfg.Dim),
		h:    mem.mat("h", tokens, cfg.Dim),
		room: mem.mat("room", 1, tokens*max(3*cfg.Dim, cfg.FFNDim)),
	}
}

// third returns one of the three [tokens, dim] matrices of a's room.
func (a *activations) third(i int) device.Mat {
	return slice(a.room, i*a.x.Rows*a.x.Cols, a.x.Rows, a.x.Cols)
}

// block runs transformer block i for number text of the contexts.
func (s *Session) block(enc device.Encoder, i, text int) {
	w := &s.m.w.blocks[i]
	s.clock.enterBlock(enc, w)
	s.selfAttention(enc, w)
	if s.camera != nil {
		s.camera.inject(enc, w, &s.act, i)
	}
	s.crossAttention(enc, w, i, text)
	s.feedForward(enc, w)
}

func (s *Session) selfAttention(enc device.Encoder, w *blockWeights) {
	x, h := s.act.x, s.factor(s.act.h)
	q, k, v := s.act.third(0), s.act.third(1), s.act.third(2)
	heads := s.m.Config.NumHeads

	s.clock.norm(enc, x, h, s.m.eps, attentionShift, attentionScale)
	enc.Record(w.selfQ.op(h, q))
	enc.Record(w.selfK.op(h, k))
	turn := func(x, y device.Mat, norm device.Mat) {
		enc.Record(device.Rope{X: x, Y: y, Heads: heads, Cos: s.cos, Sin: s.sin, Weight: norm, Eps: s.m.eps})
	}
	out := q
	if s.attention.narrow() { // two of them in one third
		turn(k, s.narrow(v, 1), w.selfNormK)
		turn(q, s.narrow(v, 0), w.selfNormQ)
		q, k, v = s.narrow(v, 0), s.narrow(v, 1), s.narrow(k, 0)
	} else {
		turn(q, q, w.selfNormQ)
		turn(k, k, w.selfNormK)
	}
	enc.Record(w.selfV.op(h, v))
	s.attend(enc, device.Attention{Q: q, K: k, V: v, O: out, Heads: heads, Scale: s.m.attentionScale()})
	s.clock.residual(enc, w.selfO, out, s.act.h, x, attentionGate)
}

func (s *Session) crossAttention(enc device.Encoder, w *blockWeights, i, text int) {
	x, h, q := s.act.x, s.factor(s.act.h), s.act.third(0)
	k, v := s.prompts.keysValues(enc, w, s.m.eps, text, i)

	enc.Record(device.Norm{X: x, Y: h, Kind: device.LayerNorm, Eps: s.m.eps, Weight: w.norm3Weight, Bias: w.norm3Bias})
	enc.Record(w.crossQ.op(h, q))
	out := q
	if s.attention.narrow() {
		q = s.narrow(s.act.third(1), 0)
	}
	enc.Record(device.Norm{X: out, Y: q, Kind: device.RMSNorm, Eps: s.m.eps, Weight: w.crossNormQ})
	s.attend(enc, device.Attention{
		Q: q, K: k, V: v, O: out, Heads: s.m.Config.NumHeads, Scale: s.m.attentionScale(),
		KeyBias: s.prompts.keyBias[text],
	})
	add := w.crossO.op(out, x)
	add.Add = x
	enc.Record(add)
}

// attend records a, in chunks of queries.
func (s *Session) attend(enc device.Encoder, a device.Attention) {
	n := s.attention.Chunk
	if n == 0 {
		n = a.Q.Rows
	}
	q, o := a.Q, a.O
	for from := 0; from < q.Rows; from += n {
		to := min(from+n, q.Rows)
		a.Q, a.O = q.RowRange(from, to), o.RowRange(from, to)
		enc.Record(a)
	}
}

// narrow reports whether queries, keys and values have another type than F32.
func (a Attention) narrow() bool { return a.DType != 0 && a.DType != device.F32 }

// narrow returns one half of m's memory, 0 or 1, as a matrix of m's size of the
// attention's 16-bit type.
func (s *Session) narrow(m device.Mat, half int) device.Mat {
	size := m.Rows * m.Cols
	return device.Mat{
		Buf: m.Buf, DType: s.attention.DType, Offset: 2*m.Offset + half*size,
		Rows: m.Rows, Cols: m.Cols, Stride: m.Cols,
	}
}

func (s *Session) feedForward(enc device.Encoder, w *blockWeights) {
	x, h := s.act.x, s.factor(s.act.h)
	hidden := s.factor(slice(s.act.room, 0, x.Rows, s.m.Config.FFNDim))

	s.clock.norm(enc, x, h, s.m.eps, ffnShift, ffnScale)
	first := w.ffn0.op(h, hidden)
	first.Act = device.GELU
	enc.Record(first)
	s.clock.residual(enc, w.ffn2, hidden, s.act.h, x, ffnGate)
}

// factor views m, which only products will read, as a matrix of the type that the
// device rounds it to, so that half the bytes are moved. Where a matrix is written
// in two steps, as without one time embedding for all tokens, it stays F32.
func (s *Session) factor(m device.Mat) device.Mat {
	if s.factors == 0 || s.clock.modulation.Rows > 1 {
		return m
	}
	m.DType = s.factors
	m.Offset *= device.F32.Size() / s.factors.Size()
	return m
}

// attentionScale is 1/sqrt(d) for heads of d channels.
func (m *Model) attentionScale() float32 {
	return float32(1 / math.Sqrt(float64(m.Config.Dim/m.Config.NumHeads)))
}
