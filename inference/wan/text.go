package wan

import (
	"context"
	"math"

	"gimbal/inference/device"
	"gimbal/inference/nn"
)

// prompts holds a session's text contexts, one after the other in the rows of its
// matrices.
type prompts struct {
	from    []int        // context c has the rows from[c], ..., from[c+1]-1
	dtype   device.DType // of keys and values; 0 for F32
	text    device.Mat   // [rows, text dim], zeros after a context's real tokens
	keyBias []device.Mat // of a context whose last row stands for many; else zero

	// With Reuse.CrossAttention, what cross-attention takes, [rows, dim] for each
	// block; else the matrices in which every forward computes it.
	keys, values                   []device.Mat
	hidden, projection, key, value device.Mat // [rows, dim]

	change change
}

// change says that as many contexts as there are prompts follow them, those before, and how far
// cross-attention goes from these to the prompts.
type change struct {
	on    bool
	scale float32
	zero  device.Mat // [1, dim]
}

// record leaves before + scale*(out-before) in out.
func (c change) record(enc device.Encoder, out, before device.Mat) {
	enc.Record(device.GatedAdd{A: before, Gate: c.zero, Plus: -1, B: out, Y: out})
	enc.Record(device.GatedAdd{A: out, Gate: c.zero, Plus: c.scale, B: before, Y: out})
}

// load writes the contexts to the device. The model attends to text_len rows of each, the
// rest zeros, whose keys and values are all equal: with Reuse.Padding one row stands for
// them, with the logarithm of their number as its bias, since n*exp(s) = exp(s + log n).
func (p *prompts) load(ctx context.Context, arena *nn.Arena, m *Model, in Input) {
	p.from = []int{0}
	p.dtype = in.AttentionType
	for i, c := range in.Contexts {
		rows := m.Config.TextLen
		if in.Reuse.Padding {
			rows = min(c.Tokens+1, rows)
		}
		p.from = append(p.from, p.from[i]+rows)

		var keyBias device.Mat
		if rows < m.Config.TextLen {
			keyBias = arena.Filled(ctx, "text.key_bias", 1, rows, func(bias []float32) {
				bias[c.Tokens] = float32(math.Log(float64(m.Config.TextLen - c.Tokens)))
			})
		}
		p.keyBias = append(p.keyBias, keyBias)
	}
	rows, dim := p.from[len(in.Contexts)], m.Config.Dim
	p.text = arena.Filled(ctx, "text", rows, m.TextDim, func(text []float32) {
		for i, c := range in.Contexts {
			copy(text[p.from[i]*m.TextDim:], c.States)
		}
	})
	p.hidden = arena.Mat("text.hidden", device.F32, rows, dim)
	p.projection = arena.Mat("text.projection", device.F32, rows, dim)
	p.key = arena.Mat("text.key", p.dtype, rows, dim)
	p.value = arena.Mat("text.value", p.dtype, rows, dim)
}

// precompute computes the keys and values of every block and context, and gives the rest
// back.
func (p *prompts) precompute(ctx context.Context, arena *nn.Arena, m *Model) error {
	err := m.dev.Do(ctx, "text_embedding", func(enc device.Encoder) {
		p.project(enc, &m.w, p.text, p.hidden, p.projection)
	})
	if err != nil {
		return err
	}
	for i := range m.w.blocks {
		w := &m.w.blocks[i]
		key := arena.Mat(w.name+".text_key", p.dtype, p.text.Rows, m.Config.Dim)
		value := arena.Mat(w.name+".text_value", p.dtype, p.text.Rows, m.Config.Dim)
		if err := arena.Err(); err != nil {
			return err
		}
		err := m.dev.Do(ctx, w.name+".text", func(enc device.Encoder) {
			p.keyValue(enc, w, m.eps, p.projection, key, value)
		})
		if err != nil {
			return err
		}
		p.keys, p.values = append(p.keys, key), append(p.values, value)
	}
	for _, m := range []*device.Mat{&p.text, &p.hidden, &p.projection, &p.key, &p.value} {
		arena.FreeMat(m)
	}
	return nil
}

// embed computes what the blocks of a forward for context c take and is not kept.
func (p *prompts) embed(enc device.Encoder, w *modelWeights, c int) {
	if p.keys == nil {
		p.project(enc, w, p.rows(p.text, c), p.rows(p.hidden, c), p.rows(p.projection, c))
	}
}

// keysValues returns context c's keys and values of block i, computed now if they
// are not kept.
func (p *prompts) keysValues(enc device.Encoder, w *blockWeights, eps float32, c, i int) (key, value device.Mat) {
	if p.keys != nil {
		return p.rows(p.keys[i], c), p.rows(p.values[i], c)
	}
	key, value = p.rows(p.key, c), p.rows(p.value, c)
	p.keyValue(enc, w, eps, p.rows(p.projection, c), key, value)
	return key, value
}

// rows returns the rows of m that belong to context c.
func (p *prompts) rows(m device.Mat, c int) device.Mat { return m.RowRange(p.from[c], p.from[c+1]) }

// project computes the projection of text.
func (p *prompts) project(enc device.Encoder, w *modelWeights, text, hidden, projection device.Mat) {
	w.text0.Record(enc, text, hidden, nn.Epilogue{Act: device.GELU})
	w.text2.Record(enc, hidden, projection, nn.Epilogue{})
}

// keyValue computes a block's keys and values from the projection.
func (p *prompts) keyValue(enc device.Encoder, w *blockWeights, eps float32, projection, key, value device.Mat) {
	w.crossK.Record(enc, projection, key, nn.Epilogue{})
	enc.Record(device.Norm{X: key, Y: key, Kind: device.RMSNorm, Eps: eps, Weight: w.crossNormK})
	w.crossV.Record(enc, projection, value, nn.Epilogue{})
}
