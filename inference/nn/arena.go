package nn

import (
	"context"
	"encoding/binary"
	"slices"

	"gimbal/inference/device"
)

// Arena holds the memory of a pass, or of several that have their buffers in common: buffers
// of a device, and the program's own for transfers. It gives all of them back together.
//
// The first error sticks: from then on buffers are nil and matrices zero, and Err returns it.
// Code that makes many buffers looks once, before it uses them.
type Arena struct {
	dev     device.Device
	buffers []device.Buffer
	staging []*Staging
	err     error
}

// NewArena returns an arena of buffers of dev.
func NewArena(dev device.Device) *Arena { return &Arena{dev: dev} }

// Err returns the first error.
func (a *Arena) Err() error { return a.err }

// Buffer returns a buffer of zeros.
func (a *Arena) Buffer(d device.Desc) (b device.Buffer) {
	if a.err == nil {
		b, a.err = a.try(d)
	}
	return b
}

func (a *Arena) try(d device.Desc) (device.Buffer, error) {
	b, err := a.dev.Alloc(d)
	if err != nil {
		return nil, err
	}
	a.buffers = append(a.buffers, b)
	return b, nil
}

// Mat returns a matrix of zeros of a type, 0 for F32.
func (a *Arena) Mat(label string, dtype device.DType, rows, cols int) device.Mat {
	if b := a.Buffer(matrix(label, dtype, rows, cols)); b != nil {
		return device.AsMat(b)
	}
	return device.Mat{}
}

// TryMat is Mat with an error that does not stick.
func (a *Arena) TryMat(label string, dtype device.DType, rows, cols int) (device.Mat, error) {
	b, err := a.try(matrix(label, dtype, rows, cols))
	if err != nil {
		return device.Mat{}, err
	}
	return device.AsMat(b), nil
}

func matrix(label string, dtype device.DType, rows, cols int) device.Desc {
	if dtype == 0 {
		dtype = device.F32
	}
	return device.Desc{Label: label, DType: dtype, Shape: []int{rows, cols}}
}

// Filled returns an F32 matrix of the values that fill makes.
func (a *Arena) Filled(ctx context.Context, label string, rows, cols int, fill func(values []float32)) device.Mat {
	m := a.Mat(label, device.F32, rows, cols)
	if a.err == nil {
		a.err = device.Fill(ctx, a.dev, m.Buf, fill)
	}
	return m
}

// Ints returns values as one row of I32.
func (a *Arena) Ints(ctx context.Context, label string, values []int32) device.Mat {
	m := a.Mat(label, device.I32, 1, len(values))
	if a.err == nil {
		data := make([]byte, 0, 4*len(values))
		for _, v := range values {
			data = binary.LittleEndian.AppendUint32(data, uint32(v))
		}
		a.err = a.dev.Write(ctx, m.Buf, data)
	}
	return m
}

// Free gives a buffer of the arena back.
func (a *Arena) Free(b device.Buffer) {
	a.buffers = slices.DeleteFunc(a.buffers, func(own device.Buffer) bool { return own == b })
	b.Release()
}

// FreeMat gives the buffer of m back and makes m zero.
func (a *Arena) FreeMat(m *device.Mat) {
	a.Free(m.Buf)
	*m = device.Mat{}
}

// Release gives everything back. A second call does nothing.
func (a *Arena) Release() {
	for _, b := range a.buffers {
		b.Release()
	}
	for _, s := range a.staging {
		s.free()
	}
	a.buffers, a.staging = nil, nil
}

// Staging is memory of the program for one side of a transfer, used again and again.
type Staging struct {
	dev    device.Device
	values []float32
	size   int
}

// Staging returns memory that goes with the arena.
func (a *Arena) Staging() *Staging {
	s := &Staging{dev: a.dev}
	a.staging = append(a.staging, s)
	return s
}

// Floats returns n values, undefined in content, that are valid until it is asked for more;
// none on a dry device, which counts them.
func (s *Staging) Floats(n int) []float32 {
	if n > s.size {
		s.free()
		s.values, s.size = device.Floats(s.dev, n), n
	}
	if s.values == nil {
		return nil
	}
	return s.values[:n]
}

func (s *Staging) free() {
	s.dev.Hold(-4 * int64(s.size))
	s.values, s.size = nil, 0
}
