package device

import "fmt"

// Mat is a matrix in a buffer: Rows rows of Cols adjacent elements, the first
// at element Offset, each row Stride elements after the one before. The zero
// Mat means "none" where an operation takes an optional matrix.
type Mat struct {
	Buf                        Buffer
	DType                      DType
	Offset, Rows, Cols, Stride int
}

// AsMat views the whole of b as a matrix whose last dimension is a row.
// A buffer of one dimension is one row.
func AsMat(b Buffer) Mat {
	d := b.Desc()
	cols := d.Shape[len(d.Shape)-1]
	rows := 1
	for _, s := range d.Shape[:len(d.Shape)-1] {
		rows *= s
	}
	return Mat{Buf: b, DType: d.DType, Rows: rows, Cols: cols, Stride: cols}
}

// IsZero reports whether m is the zero Mat.
func (m Mat) IsZero() bool { return m.Buf == nil }

// RowRange returns rows from, ..., to-1 of m.
func (m Mat) RowRange(from, to int) Mat {
	if from < 0 || to < from || to > m.Rows {
		panic(fmt.Sprintf("device: rows %d to %d of a matrix of %d", from, to, m.Rows))
	}
	m.Offset += from * m.Stride
	m.Rows = to - from
	return m
}

// ColRange returns columns from, ..., to-1 of m.
func (m Mat) ColRange(from, to int) Mat {
	if from < 0 || to < from || to > m.Cols {
		panic(fmt.Sprintf("device: columns %d to %d of a matrix of %d", from, to, m.Cols))
	}
	m.Offset += from
	m.Cols = to - from
	return m
}

// Row returns row i of m as a matrix of one row.
func (m Mat) Row(i int) Mat { return m.RowRange(i, i+1) }

// Frames is T pictures of H x W pixels of C adjacent channels in a buffer
// (channels last), each FrameStride elements after the one before. The zero
// Frames means "none".
type Frames struct {
	Buf                Buffer
	DType              DType
	Offset, T, H, W, C int
	FrameStride        int
}

// AsFrames views the whole of b, of shape [T, H, W, C], as frames.
func AsFrames(b Buffer) Frames {
	d := b.Desc()
	if len(d.Shape) != 4 {
		panic(fmt.Sprintf("device: frames of shape %v, want 4 dimensions", d.Shape))
	}
	t, h, w, c := d.Shape[0], d.Shape[1], d.Shape[2], d.Shape[3]
	return Frames{Buf: b, DType: d.DType, T: t, H: h, W: w, C: c, FrameStride: h * w * c}
}

// IsZero reports whether f is the zero Frames.
func (f Frames) IsZero() bool { return f.Buf == nil }

// Range returns frames from, ..., to-1.
func (f Frames) Range(from, to int) Frames {
	if from < 0 || to < from || to > f.T {
		panic(fmt.Sprintf("device: frames %d to %d of %d", from, to, f.T))
	}
	f.Offset += from * f.FrameStride
	f.T = to - from
	return f
}

// Every returns frames from, from+step, ...
func (f Frames) Every(from, step int) Frames {
	if from < 0 || from >= f.T || step < 1 {
		panic(fmt.Sprintf("device: every %dth of %d frames from %d", step, f.T, from))
	}
	f.Offset += from * f.FrameStride
	f.T = (f.T - from + step - 1) / step
	f.FrameStride *= step
	return f
}

// Mat views the pixels of all frames as rows of channels. The frames must be
// adjacent (or one).
func (f Frames) Mat() Mat {
	if f.T > 1 && f.FrameStride != f.H*f.W*f.C {
		panic("device: frames with gaps are no matrix")
	}
	return Mat{Buf: f.Buf, DType: f.DType, Offset: f.Offset, Rows: f.T * f.H * f.W, Cols: f.C, Stride: f.C}
}
