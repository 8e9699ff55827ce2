package wan

import (
	"context"
	"math"

	"gimbal/inference/device"
)

// prompts holds a session's text contexts, one after the other in the rows of its
// matrices.
type prompts struct {
	from    []int        // context c has the rows from[c], ..., from[c+1]-1
	text    device.Mat   // [rows, text dim], zeros after a context's real tokens
	keyBias []device.Mat // of a context whose last row stands for many; else zero

	// With Reuse.CrossAttention, what cross-attention takes, [rows, dim] for each
	// block; else room to compute it in every forward.
	keys, values                   []device.Mat
	hidden, projection, key, value device.Mat // [rows, dim]
}

// load writes contexts, each [n, text dim], to the device. The model attends to
// text_len rows of each, the rest zeros, whose keys and values are all equal: with
// Reuse.Padding one row stands for them, with the logarithm of their number as
// its bias, since n*exp(s) = exp(s + log n).
func (p *prompts) load(ctx context.Context, mem *memory, m *Model, contexts [][]float32, reuse bool) {
	var text []float32
	p.from = []int{0}
	for _, one := range contexts {
		n := len(one) / m.TextDim
		rows := m.Config.TextLen
		if reuse {
			rows = min(n+1, rows)
		}
		text = append(text, one...)
		text = append(text, make([]float32, (rows-n)*m.TextDim)...)
		p.from = append(p.from, len(text)/m.TextDim)

		var keyBias device.Mat
		if rows < m.Config.TextLen {
			bias := make([]float32, rows)
			bias[n] = float32(math.Log(float64(m.Config.TextLen - n)))
			keyBias = mem.of(ctx, "text.key_bias", bias, rows)
		}
		p.keyBias = append(p.keyBias, keyBias)
	}
	p.text = mem.of(ctx, "text", text, m.TextDim)

	rows, dim := len(text)/m.TextDim, m.Config.Dim
	p.hidden = mem.mat("text.hidden", rows, dim)
	p.projection = mem.mat("text.projection", rows, dim)
	p.key = mem.mat("text.key", rows, dim)
	p.value = mem.mat("text.value", rows, dim)
}

// keep computes the keys and values of every block and context, and gives the room
// back.
func (p *prompts) keep(ctx context.Context, mem *memory, m *Model) error {
	err := m.dev.Do(ctx, "text_embedding", func(enc device.Encoder) {
		p.project(enc, &m.w, p.text, p.hidden, p.projection)
	})
	if err != nil {
		return err
	}
	for i := range m.w.blocks {
		w := &m.w.blocks[i]
		key := mem.mat(w.name+".text_key", p.text.Rows, m.Config.Dim)
		value := mem.mat(w.name+".text_value", p.text.Rows, m.Config.Dim)
		if mem.err != nil {
			return mem.err
		}
		err := m.dev.Do(ctx, w.name+".text", func(enc device.Encoder) {
			p.keyValue(enc, w, m.eps, p.projection, key, value)
		})
		if err != nil {
			return err
		}
		p.keys, p.values = append(p.keys, key), append(p.values, value)
	}
	for _, room := range []*device.Mat{&p.text, &p.hidden, &p.projection, &p.key, &p.value} {
		mem.free(room)
	}
	return nil
}

// enter computes what the blocks of a forward for context c take and is not kept.
func (p *prompts) enter(enc device.Encoder, w *weights, c int) {
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
func (p *prompts) project(enc device.Encoder, w *weights, text, hidden, projection device.Mat) {
	first := w.text0.op(text, hidden)
	first.Act = device.GELU
	enc.Linear(first)
	enc.Linear(w.text2.op(hidden, projection))
}

// keyValue computes a block's keys and values from the projection.
func (p *prompts) keyValue(enc device.Encoder, w *blockWeights, eps float32, projection, key, value device.Mat) {
	enc.Linear(w.crossK.op(projection, key))
	enc.Norm(device.Norm{X: key, Y: key, Kind: device.RMSNorm, Eps: eps, Weight: w.crossNormK})
	enc.Linear(w.crossV.op(projection, value))
}
