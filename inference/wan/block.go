package wan

import (
	"math"

	"gimbal/inference/device"
	"gimbal/inference/nn"
)

// activations are the matrices that every block works in.
type activations struct {
	x device.Mat // [tokens, dim], the residual stream
	h device.Mat // [tokens, dim], a normalised copy of it, or what is to be added to it
	// workspace is one row that holds queries, keys and values, or the feed-forward's
	// hidden layer: never both.
	workspace device.Mat
}

func newActivations(arena *nn.Arena, cfg Config, tokens int) activations {
	return activations{
		x:         arena.Mat("x", device.F32, tokens, cfg.Dim),
		h:         arena.Mat("h", device.F32, tokens, cfg.Dim),
		workspace: arena.Mat("workspace", device.F32, 1, tokens*max(3*cfg.Dim, cfg.FFNDim)),
	}
}

// q, k and v are thirds of the workspace, each [tokens, dim].
func (a *activations) q() device.Mat { return a.slice(0, a.x.Cols) }
func (a *activations) k() device.Mat { return a.slice(1, a.x.Cols) }
func (a *activations) v() device.Mat { return a.slice(2, a.x.Cols) }

// slice returns matrix number i of those of [tokens, cols] that the workspace consists of.
func (a *activations) slice(i, cols int) device.Mat {
	rows := a.x.Rows
	return device.Mat{Buf: a.workspace.Buf, DType: device.F32, Offset: i * rows * cols, Rows: rows, Cols: cols, Stride: cols}
}

// block runs transformer block i for number text of the contexts; see the package's
// documentation for what is where.
func (s *Session) block(enc device.Encoder, i, text int) {
	w := &s.m.w.blocks[i]
	s.modulation.setBlock(enc, w)
	s.selfAttention(enc, w, i, text)
	if s.camera != nil {
		s.camera.inject(enc, w, &s.act, i)
	}
	s.crossAttention(enc, w, i, text)
	s.feedForward(enc, w)
}

func (s *Session) selfAttention(enc device.Encoder, w *blockWeights, i, text int) {
	x, h := s.act.x, s.castInput(s.act.h)
	s.modulation.norm(enc, x, h, s.m.eps, attentionShift, attentionScale)
	var out device.Mat
	if s.cache != nil {
		out = s.causalAttention(enc, w, h, i, text)
	} else {
		out = s.fullAttention(enc, w, h)
	}
	s.modulation.residual(enc, w.selfO, out, s.act.h, x, attentionGate)
}

// fullAttention is the attention of all tokens to all. It returns the matrix of its results.
func (s *Session) fullAttention(enc device.Encoder, w *blockWeights, h device.Mat) device.Mat {
	q, k, v := s.act.q(), s.act.k(), s.act.v()
	w.selfQ.Record(enc, h, q, nn.Epilogue{})
	w.selfK.Record(enc, h, k, nn.Epilogue{})
	out := q
	if s.attention16() { // two of them in the memory of one
		q16, k16, v16 := s.half(v, 0), s.half(v, 1), s.half(k, 0)
		s.applyRope(enc, k, k16, w.selfNormK)
		s.applyRope(enc, q, q16, w.selfNormQ)
		q, k, v = q16, k16, v16
	} else {
		s.applyRope(enc, q, q, w.selfNormQ)
		s.applyRope(enc, k, k, w.selfNormK)
	}
	w.selfV.Record(enc, h, v, nn.Epilogue{})
	enc.Record(device.Attention{Q: q, K: k, V: v, O: out, Heads: s.m.Config.NumHeads, Scale: s.m.attentionScale()})
	return out
}

// applyRope normalises the rows of x, and turns the heads by the tokens' positions.
func (s *Session) applyRope(enc device.Encoder, x, y, norm device.Mat) {
	enc.Record(device.Rope{X: x, Y: y, Heads: s.m.Config.NumHeads, Cos: s.cos, Sin: s.sin, Weight: norm, Eps: s.m.eps})
}

func (s *Session) crossAttention(enc device.Encoder, w *blockWeights, i, text int) {
	x, h, q := s.act.x, s.castInput(s.act.h), s.act.q()

	enc.Record(device.Norm{X: x, Y: h, Kind: device.LayerNorm, Eps: s.m.eps, Weight: w.norm3Weight, Bias: w.norm3Bias})
	w.crossQ.Record(enc, h, q, nn.Epilogue{})
	out := q
	if s.attention16() {
		q = s.half(s.act.k(), 0)
	}
	enc.Record(device.Norm{X: out, Y: q, Kind: device.RMSNorm, Eps: s.m.eps, Weight: w.crossNormQ})
	before := s.act.v()
	if s.prompts.change.on {
		s.attendText(enc, w, i, text+s.contexts, q, before)
	}
	s.attendText(enc, w, i, text, q, out)
	if s.prompts.change.on {
		s.prompts.change.record(enc, out, before)
	}
	w.crossO.Record(enc, out, x, nn.Epilogue{Add: x})
}

// attendText is the attention of queries to a context.
func (s *Session) attendText(enc device.Encoder, w *blockWeights, i, text int, q, out device.Mat) {
	k, v := s.prompts.keysValues(enc, w, s.m.eps, text, i)
	enc.Record(device.Attention{
		Q: q, K: k, V: v, O: out, Heads: s.m.Config.NumHeads, Scale: s.m.attentionScale(),
		KeyBias: s.prompts.keyBias[text],
	})
}

func (s *Session) feedForward(enc device.Encoder, w *blockWeights) {
	x, h := s.act.x, s.castInput(s.act.h)
	hidden := s.castInput(s.act.slice(0, s.m.Config.FFNDim))

	s.modulation.norm(enc, x, h, s.m.eps, ffnShift, ffnScale)
	w.ffn0.Record(enc, h, hidden, nn.Epilogue{Act: device.GELU})
	s.modulation.residual(enc, w.ffn2, hidden, s.act.h, x, ffnGate)
}

// castInput views m, which only products will read, as a matrix of the type that the device
// multiplies in, so that half the bytes are moved. Where a matrix is written in two steps,
// as without one time embedding for all tokens, it stays F32.
func (s *Session) castInput(m device.Mat) device.Mat {
	if s.computeType == 0 || s.modulation.perToken() {
		return m
	}
	m.DType = s.computeType
	m.Offset *= device.F32.Size() / s.computeType.Size()
	return m
}

// attention16 reports whether queries, keys and values have a 16-bit type.
func (s *Session) attention16() bool {
	return s.attentionType != 0 && s.attentionType != device.F32
}

// half returns one half of m's memory, 0 or 1, as a matrix of m's size of the attention's
// 16-bit type.
func (s *Session) half(m device.Mat, i int) device.Mat {
	size := m.Rows * m.Cols
	return device.Mat{
		Buf: m.Buf, DType: s.attentionType, Offset: 2*m.Offset + i*size,
		Rows: m.Rows, Cols: m.Cols, Stride: m.Cols,
	}
}

// attentionScale is 1/sqrt(d) for heads of d channels.
func (m *Model) attentionScale() float32 {
	return float32(1 / math.Sqrt(float64(m.Config.Dim/m.Config.NumHeads)))
}
