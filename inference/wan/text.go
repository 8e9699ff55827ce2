package wan

import (
	"context"
	"math"

	"gimbal/inference/device"
)

// prompt is one text context on the device.
type prompt struct {
	text    device.Mat // [rows, text dim], zeros after the real tokens
	keyBias device.Mat // for a last row that stands for many; else zero

	// What Reuse.CrossAttention keeps, one entry a block, [rows, dim]; else nil.
	keys, values []device.Mat
}

// prompts holds a session's text contexts, and room for the projection of one
// and its keys and values, as long as the longest. Without Reuse.CrossAttention,
// every forward redoes the projection and every block its keys and values.
type prompts struct {
	list                           []prompt
	hidden, projection, key, value device.Mat // [rows, dim]
}

// load writes a context, [n, text dim], to the device. The model attends to
// text_len rows, the rest zeros, whose keys and values are all equal: with
// Reuse.Padding one row stands for them, with the logarithm of their number as
// its bias, since n*exp(s) = exp(s + log n).
func (p *prompts) load(ctx context.Context, mem *memory, m *Model, text []float32, reuse bool) {
	n := len(text) / m.TextDim
	rows := m.Config.TextLen
	if reuse {
		rows = min(n+1, rows)
	}
	padded := make([]float32, rows*m.TextDim)
	copy(padded, text)
	one := prompt{text: mem.of(ctx, "text", padded, m.TextDim)}
	if rows < m.Config.TextLen {
		bias := make([]float32, rows)
		bias[n] = float32(math.Log(float64(m.Config.TextLen - n)))
		one.keyBias = mem.of(ctx, "text.key_bias", bias, rows)
	}
	p.list = append(p.list, one)
}

// makeRoom makes the room that computing keys and values takes.
func (p *prompts) makeRoom(mem *memory, dim int) {
	rows := 0
	for _, one := range p.list {
		rows = max(rows, one.text.Rows)
	}
	p.hidden = mem.mat("text.hidden", rows, dim)
	p.projection = mem.mat("text.projection", rows, dim)
	p.key = mem.mat("text.key", rows, dim)
	p.value = mem.mat("text.value", rows, dim)
}

// keep computes the keys and values of every context and block, and gives the room
// back.
func (p *prompts) keep(ctx context.Context, mem *memory, m *Model) error {
	for c := range p.list {
		one := &p.list[c]
		for _, w := range m.w.blocks {
			one.keys = append(one.keys, mem.mat(w.name+".text_key", one.text.Rows, m.Config.Dim))
			one.values = append(one.values, mem.mat(w.name+".text_value", one.text.Rows, m.Config.Dim))
		}
	}
	if mem.err != nil {
		return mem.err
	}
	for c := range p.list {
		err := m.dev.Do(ctx, "text_embedding", func(enc device.Encoder) { p.project(enc, &m.w, c) })
		if err != nil {
			return err
		}
		for i := range m.w.blocks {
			w := &m.w.blocks[i]
			err := m.dev.Do(ctx, w.name+".cross_attn keys and values", func(enc device.Encoder) {
				p.keyValue(enc, w, m.eps, p.list[c].keys[i], p.list[c].values[i])
			})
			if err != nil {
				return err
			}
		}
	}
	for _, room := range []*device.Mat{&p.hidden, &p.projection, &p.key, &p.value} {
		mem.free(room)
	}
	return nil
}

// project computes the projection of context c.
func (p *prompts) project(enc device.Encoder, w *weights, c int) {
	text := p.list[c].text
	first := w.text0.op(text, p.hidden.RowRange(0, text.Rows))
	first.Act = device.GELU
	enc.Linear(first)
	enc.Linear(w.text2.op(first.Y, p.projection.RowRange(0, text.Rows)))
}

// keyValue computes a block's keys and values from the projection.
func (p *prompts) keyValue(enc device.Encoder, w *blockWeights, eps float32, key, value device.Mat) {
	projection := p.projection.RowRange(0, key.Rows)
	enc.Linear(w.crossK.op(projection, key))
	enc.Norm(device.Norm{X: key, Y: key, Kind: device.RMSNorm, Eps: eps, Weight: w.crossNormK})
	enc.Linear(w.crossV.op(projection, value))
}

// keysValues returns context c's keys and values of block i, computed now if they
// are not kept.
func (p *prompts) keysValues(enc device.Encoder, w *blockWeights, eps float32, c, i int) (key, value device.Mat) {
	one := &p.list[c]
	if one.keys != nil {
		return one.keys[i], one.values[i]
	}
	key = p.key.RowRange(0, one.text.Rows)
	value = p.value.RowRange(0, one.text.Rows)
	p.keyValue(enc, w, eps, key, value)
	return key, value
}
