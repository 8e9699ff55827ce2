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

// try returns a new F32 matrix of zeros; its error does not stick.
func (m *memory) try(label string, rows, cols int) (device.Mat, error) {
	b, err := m.dev.Alloc(device.Desc{Label: label, DType: device.F32, Shape: []int{rows, cols}})
	if err != nil {
		return device.Mat{}, err
	}
	m.buffers = append(m.buffers, b)
	return device.AsMat(b), nil
}

// mat returns a new F32 matrix of zeros.
func (m *memory) mat(label string, rows, cols int) (mat device.Mat) {
	if m.err == nil {
		mat, m.err = m.try(label, rows, cols)
	}
	return mat
}

// of returns a new matrix that holds values, in rows of cols.
func (m *memory) of(ctx context.Context, label string, values []float32, cols int) device.Mat {
	mat := m.mat(label, len(values)/cols, cols)
	if m.err == nil {
		m.err = m.dev.Write(ctx, mat.Buf, device.Bytes(values))
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
