package plan

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"gimbal/inference/device"
)

// Measure times a few small operations of each kind on dev, in about two seconds,
// and returns its rates. A kind that the device does not take has none.
func Measure(ctx context.Context, dev device.Device) (Rates, error) {
	m := &measuring{ctx: ctx, dev: dev}
	defer m.release()
	r := Rates{Kinds: map[string]float64{}}
	var err error
	if r.Submission, err = m.submission(); err != nil {
		return Rates{}, fmt.Errorf("plan: measuring %s: %w", dev.Info().Name, err)
	}
	var errs []error
	for _, w := range []weights{
		{device.Dense, device.F32}, {device.Dense, device.F16}, {device.Dense, device.BF16}, {device.Dense, device.F8E4M3},
		{format: device.INT8}, {format: device.NF4},
	} {
		errs = append(errs, m.rate(r, func(size int) operation { return m.linear(w, size) }))
	}
	for _, t := range []device.DType{device.F32, device.F16, device.BF16} {
		errs = append(errs, m.rate(r, func(size int) operation { return m.attention(t, size) }))
	}
	errs = append(errs, m.rate(r, m.conv))
	if err := errors.Join(errs...); err != nil {
		return Rates{}, fmt.Errorf("plan: measuring %s: %w", dev.Info().Name, err)
	}
	memory := Rates{Kinds: map[string]float64{}}
	if err := m.rate(memory, m.memory); err != nil {
		return Rates{}, fmt.Errorf("plan: measuring %s: %w", dev.Info().Name, err)
	}
	r.Bandwidth = memory.Kinds[Memory]
	return r, nil
}

// measuring makes operations and times them. The first error sticks.
type measuring struct {
	ctx     context.Context
	dev     device.Device
	buffers []device.Buffer
	err     error
}

// operation is one to be timed, with what counts as its work.
type operation struct {
	device.Op
	work float64
}

// byFLOPs is an operation whose work is its arithmetic.
func byFLOPs(op device.Op) operation { return operation{op, float64(op.Cost().FLOPs)} }

// weights is a type that products take.
type weights struct {
	format device.Format
	dtype  device.DType // of Dense ones
}

// long is the least time of a submission that tells the speed of a device.
const long = 20 * time.Millisecond

// rate measures one kind: it doubles the size until a submission takes long enough,
// then takes the fastest of three.
func (m *measuring) rate(r Rates, make func(size int) operation) error {
	for size := 1; ; size *= 2 {
		op := make(size)
		kind := Kind(op.Op)
		best := math.Inf(1)
		for range 4 {
			if m.err != nil {
				break
			}
			begin := time.Now()
			m.err = m.dev.Do(m.ctx, "measure "+kind, func(enc device.Encoder) { enc.Record(op.Op) })
			best = min(best, time.Since(begin).Seconds())
			if best < long.Seconds() && size < maxSize {
				break
			}
		}
		m.release()
		err := m.err
		m.err = nil
		switch {
		case errors.Is(err, device.ErrUnsupported):
			return nil
		case errors.Is(err, device.ErrOutOfMemory) && r.Kinds[kind] > 0:
			return nil
		case err != nil:
			return err
		}
		r.Kinds[kind] = op.work / best
		if best >= long.Seconds() || size >= maxSize {
			return nil
		}
	}
}

// maxSize is the largest size that rate tries.
const maxSize = 64

// The sizes of operations of size 1, which a device of little speed takes long for.
const (
	side  = 1024 // rows and columns of weights
	rows  = 256  // of what is multiplied
	heads = 8
)

func (m *measuring) linear(w weights, size int) operation {
	return byFLOPs(device.Linear{
		X: m.mat(device.F32, rows*size, side), Y: m.mat(device.F32, rows*size, side),
		W: device.NewWeight(w.format, w.dtype, side, side, m.mat),
	})
}

func (m *measuring) attention(t device.DType, size int) operation {
	n := rows * size
	return byFLOPs(device.Attention{
		Q: m.mat(t, n, side), K: m.mat(t, n, side), V: m.mat(t, n, side), O: m.mat(device.F32, n, side),
		Heads: heads, Scale: 1,
	})
}

func (m *measuring) conv(size int) operation {
	const channels, edge = 96, 32
	c := device.Conv{
		X: m.frames(size, edge, edge, channels), Y: m.frames(size, edge, edge, channels), W: m.mat(device.F32, channels, channels*27),
		KT: 3, KH: 3, KW: 3, StrideT: 1, Stride: 1, PadH: 1, PadW: 1,
	}
	c.Prev = [2]device.Frames{c.X.Range(0, 1), c.X.Range(0, 1)} // black frames would be left out
	return byFLOPs(c)
}

func (m *measuring) memory(size int) operation {
	x, y := m.mat(device.F32, rows*size, side), m.mat(device.F32, rows*size, side)
	return operation{device.GatedAdd{A: x, Gate: x, B: x, Y: y, Plus: 1}, 2 * float64(x.Bytes())} // x is one matrix, read once
}

// submission returns the seconds of a submission that does next to nothing.
func (m *measuring) submission() (float64, error) {
	const times = 50
	x := m.mat(device.F32, 1, 1)
	one := func() {
		if m.err == nil {
			m.err = m.dev.Do(m.ctx, "measure a submission", func(enc device.Encoder) { enc.Record(device.Unary{X: x, Y: x}) })
		}
	}
	one()
	begin := time.Now()
	for range times {
		one()
	}
	took := time.Since(begin).Seconds() / times
	err := m.err
	m.release()
	return took, err
}

func (m *measuring) buffer(t device.DType, shape ...int) device.Buffer {
	desc := device.Desc{Label: "measure", DType: t, Shape: shape}
	if m.err == nil {
		var b device.Buffer
		if b, m.err = m.dev.Alloc(desc); m.err == nil {
			m.buffers = append(m.buffers, b)
			return b
		}
	}
	return &buffer{desc: desc, gone: true} // never used: the error comes first
}

func (m *measuring) mat(t device.DType, rows, cols int) device.Mat {
	return device.AsMat(m.buffer(t, rows, cols))
}

func (m *measuring) frames(t, h, w, c int) device.Frames {
	return device.AsFrames(m.buffer(device.F32, t, h, w, c))
}

func (m *measuring) release() {
	for _, b := range m.buffers {
		b.Release()
	}
	m.buffers = nil
}
