package wan

import (
	"context"
	"slices"

	"gimbal/inference/device"
)

// memory makes buffers and remembers them, to give them back together. The first
// error sticks: after it, mat and of return zero Mats.
type memory struct {
	dev     device.Device
	buffers []device.Buffer
	err     error
}

// try returns a new matrix of zeros; its error does not stick.
func (m *memory) try(label string, dtype device.DType, rows, cols int) (device.Mat, error) {
	b, err := m.dev.Alloc(device.Desc{Label: label, DType: dtype, Shape: []int{rows, cols}})
	if err != nil {
		return device.Mat{}, err
	}
	m.buffers = append(m.buffers, b)
	return device.AsMat(b), nil
}

// mat returns a new F32 matrix of zeros.
func (m *memory) mat(label string, rows, cols int) device.Mat {
	return m.typed(label, device.F32, rows, cols)
}

// typed returns a new matrix of zeros of a type, 0 for F32.
func (m *memory) typed(label string, dtype device.DType, rows, cols int) (mat device.Mat) {
	if dtype == 0 {
		dtype = device.F32
	}
	if m.err == nil {
		mat, m.err = m.try(label, dtype, rows, cols)
	}
	return mat
}

// of returns a new matrix that holds what fill makes.
func (m *memory) of(ctx context.Context, label string, rows, cols int, fill func(values []float32)) device.Mat {
	mat := m.mat(label, rows, cols)
	if m.err == nil {
		m.err = device.Fill(ctx, m.dev, mat.Buf, fill)
	}
	return mat
}

// free gives the buffer of mat back and makes mat zero.
func (m *memory) free(mat *device.Mat) {
	m.buffers = slices.DeleteFunc(m.buffers, func(b device.Buffer) bool { return b == mat.Buf })
	mat.Buf.Release()
	*mat = device.Mat{}
}

func (m *memory) release() {
	for _, b := range m.buffers {
		b.Release()
	}
	m.buffers = nil
}

// slice views the elements of m's buffer from the given one on as rows of cols.
func slice(m device.Mat, from, rows, cols int) device.Mat {
	return device.Mat{Buf: m.Buf, DType: m.DType, Offset: from, Rows: rows, Cols: cols, Stride: cols}
}
