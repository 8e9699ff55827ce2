package wan

import (
	"context"
	"math"
	"slices"

	"gimbal/inference/device"
	"gimbal/inference/nn"
)

// modulation is the time embedding of a forward and the shifts, scales and gates that the
// blocks and the head take from it (AdaLN). It has one row, or, without Reuse.Time, one per
// token, all equal.
type modulation struct {
	sinusoid   device.Mat // [rows, freq_dim]
	hidden     device.Mat // [rows, dim]
	embedding  device.Mat // [rows, dim], what the head takes
	projection device.Mat // [rows, 6*dim], what every block takes
	current    device.Mat // [rows, 6*dim], those of the block at hand; of the head in the first 2*dim columns

	// Embeddings and projections of timesteps that are kept, a row for each, and where those
	// of others go.
	times                   []float64
	embeddings, projections device.Mat
	other                   [2]device.Mat
	kept                    bool // the timestep at hand is one of them
}

func newModulation(arena *nn.Arena, cfg Config, rows int) modulation {
	mat := func(label string, cols int) device.Mat { return arena.Mat(label, device.F32, rows, cols) }
	m := modulation{
		sinusoid:   mat("time.sinusoid", cfg.FreqDim),
		hidden:     mat("time.hidden", cfg.Dim),
		embedding:  mat("time.embedding", cfg.Dim),
		projection: mat("time.projection", 6*cfg.Dim),
		current:    mat("time.modulation", 6*cfg.Dim),
	}
	m.other = [2]device.Mat{m.embedding, m.projection}
	return m
}

// keep computes the embeddings of timesteps, for all forwards to come.
func (m *modulation) keep(ctx context.Context, arena *nn.Arena, dev device.Device, w *modelWeights, times []float64) error {
	if len(times) == 0 || m.perToken() {
		return nil
	}
	m.embeddings = arena.Mat("time.embeddings", device.F32, len(times), m.embedding.Cols)
	m.projections = arena.Mat("time.projections", device.F32, len(times), m.projection.Cols)
	if err := arena.Err(); err != nil {
		return err
	}
	one := *m
	for i, t := range times {
		one.other = [2]device.Mat{m.embeddings.Row(i), m.projections.Row(i)}
		err := one.setTimestep(ctx, dev, t)
		if err == nil {
			err = dev.Do(ctx, "time_embedding", func(enc device.Encoder) { one.embed(enc, w) })
		}
		if err != nil {
			return err
		}
	}
	m.times = times
	return nil
}

// setTimestep writes the sinusoid of timestep t: cos(t * 10000^(-i/half)) for the first
// half of the columns, the sines for the second (arXiv:1706.03762, section 3.5).
func (m *modulation) setTimestep(ctx context.Context, dev device.Device, t float64) error {
	i := slices.Index(m.times, t)
	if m.kept = i >= 0; m.kept {
		m.embedding, m.projection = m.embeddings.Row(i), m.projections.Row(i)
		return nil
	}
	m.embedding, m.projection = m.other[0], m.other[1]
	return device.Fill(ctx, dev, m.sinusoid.Buf, func(rows []float32) {
		row := rows[:m.sinusoid.Cols]
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

// embed computes the embedding and the projection from the sinusoid.
func (m *modulation) embed(enc device.Encoder, w *modelWeights) {
	if m.kept {
		return
	}
	w.time0.Record(enc, m.sinusoid, m.hidden, nn.Epilogue{Act: device.SiLU})
	w.time2.Record(enc, m.hidden, m.embedding, nn.Epilogue{})
	enc.Record(device.Unary{X: m.embedding, Y: m.hidden, F: device.SiLU})
	w.timeProjection.Record(enc, m.hidden, m.projection, nn.Epilogue{})
}

// The vectors of a block's modulation, in the order of the weights, and of the head's.
const (
	attentionShift = iota
	attentionScale
	attentionGate
	ffnShift
	ffnScale
	ffnGate

	headShift = 0
	headScale = 1
)

// setBlock makes the six vectors of a block.
func (m *modulation) setBlock(enc device.Encoder, w *blockWeights) {
	enc.Record(device.Binary{A: m.projection, B: w.modulation, Y: m.current, Op: device.Add})
}

// setHead makes the two vectors of the head.
func (m *modulation) setHead(enc device.Encoder, w *modelWeights) {
	for _, i := range []int{headShift, headScale} {
		enc.Record(device.Binary{A: m.embedding, B: m.chunk(w.headModulation, i), Y: m.vector(i), Op: device.Add})
	}
}

// vector returns one of the current vectors, [rows, dim].
func (m *modulation) vector(i int) device.Mat { return m.chunk(m.current, i) }

// chunk returns chunk i of dim columns of a matrix.
func (m *modulation) chunk(of device.Mat, i int) device.Mat {
	dim := m.embedding.Cols
	return of.ColRange(i*dim, (i+1)*dim)
}

// perToken reports whether there is a row per token, which the operations do not take as
// their scale, shift or gate.
func (m *modulation) perToken() bool { return m.current.Rows > 1 }

// norm computes y = LayerNorm(x) * (1 + scale) + shift.
func (m *modulation) norm(enc device.Encoder, x, y device.Mat, eps float32, shift, scale int) {
	n := device.Norm{X: x, Y: y, Kind: device.LayerNorm, Eps: eps}
	if !m.perToken() {
		n.Shift, n.Scale = m.vector(shift), m.vector(scale)
		enc.Record(n)
		return
	}
	enc.Record(n)
	enc.Record(device.GatedAdd{A: y, Gate: m.vector(scale), Plus: 1, B: m.vector(shift), Y: y})
}

// residual computes x += gate * l(in), with tmp for l(in) where it takes two steps.
func (m *modulation) residual(enc device.Encoder, l nn.Linear, in, tmp, x device.Mat, gate int) {
	if !m.perToken() {
		l.Record(enc, in, x, nn.Epilogue{Gate: m.vector(gate), Add: x})
		return
	}
	l.Record(enc, in, tmp, nn.Epilogue{})
	enc.Record(device.GatedAdd{A: tmp, Gate: m.vector(gate), B: x, Y: x})
}
