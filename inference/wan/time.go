package wan

import (
	"context"
	"math"

	"gimbal/inference/device"
)

// clock holds the time embedding of one forward and the modulation that the
// blocks and the head take from it. It has one row, or, without Reuse.Time, one a
// token, all equal.
type clock struct {
	sinusoid   device.Mat // [rows, freq_dim]
	hidden     device.Mat // [rows, dim]
	embedding  device.Mat // [rows, dim], what the head takes
	projection device.Mat // [rows, 6*dim], what every block takes
	modulation device.Mat // [rows, 6*dim], the projection plus the weights of the block at hand
}

func newClock(mem *memory, cfg Config, rows int) clock {
	return clock{
		sinusoid:   mem.mat("time.sinusoid", rows, cfg.FreqDim),
		hidden:     mem.mat("time.hidden", rows, cfg.Dim),
		embedding:  mem.mat("time.embedding", rows, cfg.Dim),
		projection: mem.mat("time.projection", rows, 6*cfg.Dim),
		modulation: mem.mat("time.modulation", rows, 6*cfg.Dim),
	}
}

// set writes the sinusoid of timestep t: cos(t * 10000^(-i/half)) for the first
// half of the columns, the sines for the second (arXiv:1706.03762, section 3.5).
func (c *clock) set(ctx context.Context, dev device.Device, t float64) error {
	return device.Fill(ctx, dev, c.sinusoid.Buf, func(rows []float32) {
		row := rows[:c.sinusoid.Cols]
		half := len(row) / 2
		for i := range half {
			sin, cos := math.Sincos(t * math.Pow(10000, -float64(i)/float64(half)))
			row[i], row[half+i] = float32(cos), float32(sin)
		}
		for rest := rows[len(row):]; len(rest) > 0; rest = rest[len(row):] {
			copy(rest, row)
		}
	})
}

// embed computes the embedding and the projection.
func (c *clock) embed(enc device.Encoder, w *modelWeights) {
	first := w.time0.op(c.sinusoid, c.hidden)
	first.Act = device.SiLU
	enc.Record(first)
	enc.Record(w.time2.op(c.hidden, c.embedding))
	enc.Record(device.Unary{X: c.embedding, Y: c.hidden, F: device.SiLU})
	enc.Record(w.timeProjection.op(c.hidden, c.projection))
}

// enterBlock makes the six parts of a block's modulation.
func (c *clock) enterBlock(enc device.Encoder, w *blockWeights) {
	enc.Record(device.Binary{A: c.projection, B: w.modulation, Y: c.modulation, Op: device.Add})
}

// enterHead makes the two parts of the head's modulation, shift and scale.
func (c *clock) enterHead(enc device.Encoder, w *modelWeights) {
	dim := c.embedding.Cols
	for i := range 2 {
		enc.Record(device.Binary{A: c.embedding, B: w.headModulation.ColRange(i*dim, (i+1)*dim), Y: c.part(i), Op: device.Add})
	}
}

// The parts of a block's modulation, in the order of the weights.
const (
	attentionShift = iota
	attentionScale
	attentionGate
	ffnShift
	ffnScale
	ffnGate
)

// The parts of the head's modulation.
const (
	headShift = iota
	headScale
)

func (c *clock) part(i int) device.Mat {
	dim := c.embedding.Cols
	return c.modulation.ColRange(i*dim, (i+1)*dim)
}

// norm computes y = LayerNorm(x) * (1 + scale) + shift.
func (c *clock) norm(enc device.Encoder, x, y device.Mat, eps float32, shift, scale int) {
	n := device.Norm{X: x, Y: y, Kind: device.LayerNorm, Eps: eps}
	if c.modulation.Rows == 1 {
		n.Shift, n.Scale = c.part(shift), c.part(scale)
		enc.Record(n)
		return
	}
	enc.Record(n)
	enc.Record(device.GatedAdd{A: y, Gate: c.part(scale), Plus: 1, B: c.part(shift), Y: y})
}

// residual computes x += gate * l(in), with room for l(in) in tmp.
func (c *clock) residual(enc device.Encoder, l linear, in, tmp, x device.Mat, gate int) {
	if c.modulation.Rows == 1 {
		op := l.op(in, x)
		op.Gate, op.Add = c.part(gate), x
		enc.Record(op)
		return
	}
	enc.Record(l.op(in, tmp))
	enc.Record(device.GatedAdd{A: tmp, Gate: c.part(gate), B: x, Y: x})
}
