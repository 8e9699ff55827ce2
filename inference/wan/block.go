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
	x, h := s.act.x, s.act.h
	q, k, v := s.act.third(0), s.act.third(1), s.act.third(2)
	heads := s.m.Config.NumHeads

	s.clock.norm(enc, x, h, s.m.eps, attentionShift, attentionScale)
	enc.Linear(w.selfQ.op(h, q))
	enc.Linear(w.selfK.op(h, k))
	enc.Linear(w.selfV.op(h, v))
	enc.Rope(device.Rope{X: q, Y: q, Heads: heads, Cos: s.cos, Sin: s.sin, Weight: w.selfNormQ, Eps: s.m.eps})
	enc.Rope(device.Rope{X: k, Y: k, Heads: heads, Cos: s.cos, Sin: s.sin, Weight: w.selfNormK, Eps: s.m.eps})
	enc.Attention(device.Attention{Q: q, K: k, V: v, O: q, Heads: heads, Scale: s.m.attentionScale()})
	s.clock.residual(enc, w.selfO, q, h, x, attentionGate)
}

func (s *Session) crossAttention(enc device.Encoder, w *blockWeights, i, text int) {
	x, h, q := s.act.x, s.act.h, s.act.third(0)
	k, v := s.prompts.keysValues(enc, w, s.m.eps, text, i)

	enc.Norm(device.Norm{X: x, Y: h, Kind: device.LayerNorm, Eps: s.m.eps, Weight: w.norm3Weight, Bias: w.norm3Bias})
	enc.Linear(w.crossQ.op(h, q))
	enc.Norm(device.Norm{X: q, Y: q, Kind: device.RMSNorm, Eps: s.m.eps, Weight: w.crossNormQ})
	enc.Attention(device.Attention{
		Q: q, K: k, V: v, O: q, Heads: s.m.Config.NumHeads, Scale: s.m.attentionScale(),
		KeyBias: s.prompts.keyBias[text],
	})
	out := w.crossO.op(q, x)
	out.Add = x
	enc.Linear(out)
}

func (s *Session) feedForward(enc device.Encoder, w *blockWeights) {
	x, h := s.act.x, s.act.h
	hidden := slice(s.act.room, 0, x.Rows, s.m.Config.FFNDim)

	s.clock.norm(enc, x, h, s.m.eps, ffnShift, ffnScale)
	first := w.ffn0.op(h, hidden)
	first.Act = device.GELU
	enc.Linear(first)
	s.clock.residual(enc, w.ffn2, hidden, h, x, ffnGate)
}

// attentionScale is 1/sqrt(d) for heads of d channels.
func (m *Model) attentionScale() float32 {
	return float32(1 / math.Sqrt(float64(m.Config.Dim/m.Config.NumHeads)))
}
