package metalkit

import (
	"math"

	"gimbal/inference/device"
)

// twin makes an operation like another one of any size that takes the same kernels and no
// time: its operands are of the same types, few rows and, where the kernels do not depend on
// them, few columns.
type twin struct {
	align int // rows begin at multiples of so many elements: 8, 4 and no more, or 1
	// alloc returns a buffer with contents; those of I32 are below limit, those of U8 have no
	// other bits.
	alloc func(t device.DType, n int, seed uint32, limit int) device.Buffer
	made  map[device.Mat]device.Mat
	seed  uint32
}

// few is how many there are of n: enough that tiles reach beyond the edge, and as many beyond a
// multiple of 8.
func few(n int) int {
	if n <= 80 {
		return n
	}
	return 72 + n%8
}

// mat is [rows, cols] for m, the same one for equal ones.
func (w *twin) mat(m device.Mat, rows, cols int) device.Mat {
	return w.matBelow(m, rows, cols, math.MaxInt32)
}

func (w *twin) matBelow(m device.Mat, rows, cols, limit int) device.Mat {
	if m.IsZero() {
		return m
	}
	if to, ok := w.made[m]; ok && to.Rows == rows && to.Cols == cols {
		return to
	}
	offset, stride := 0, cols
	if m.Stride > m.Cols && m.Rows > 1 {
		stride += 8
	}
	switch w.align {
	case 1:
		offset, stride = 1, stride|1
	case 4:
		offset, stride = 4, stride+4-stride%8
	}
	w.seed++
	to := device.Mat{DType: m.DType, Offset: offset, Rows: rows, Cols: cols, Stride: stride}
	to.Buf = w.alloc(m.DType, offset+rows*stride, w.seed, limit)
	w.made[m] = to
	return to
}

// row is one row of cols for m.
func (w *twin) row(m device.Mat, cols int) device.Mat {
	align := w.align
	w.align = 8
	defer func() { w.align = align }()
	return w.mat(m, 1, cols)
}

func (w *twin) frames(f device.Frames, t, h, width, c int) device.Frames {
	if f.IsZero() {
		return f
	}
	m := w.mat(device.Mat{Buf: f.Buf, DType: f.DType, Offset: f.Offset, Rows: f.T, Cols: f.H * f.W * f.C, Stride: f.FrameStride}, t, h*width*c)
	return device.Frames{Buf: m.Buf, DType: m.DType, Offset: m.Offset, T: t, H: h, W: width, C: c, FrameStride: m.Stride}
}

// of returns the twin of op and its result; ok is false where there is none.
func (w *twin) of(op device.Op) (like device.Op, result device.Mat, ok bool) {
	switch op := op.(type) {
	case device.Linear:
		like, result = w.linear(op)
	case device.Attention:
		like, result = w.attention(op)
	case device.Norm:
		rows, cols := min(op.X.Rows, 5), op.X.Cols
		op.X, op.Y = w.mat(op.X, rows, cols), w.mat(op.Y, rows, cols)
		for _, m := range []*device.Mat{&op.Weight, &op.Bias, &op.Scale, &op.Shift} {
			*m = w.row(*m, cols)
		}
		like, result = op, op.Y
	case device.Rope:
		rows, cols := min(op.X.Rows, 5), op.X.Cols
		half := cols / op.Heads / 2
		op.X, op.Y, op.Weight = w.mat(op.X, rows, cols), w.mat(op.Y, rows, cols), w.row(op.Weight, cols)
		op.Cos, op.Sin = w.mat(op.Cos, rows, half), w.mat(op.Sin, rows, half)
		like, result = op, op.Y
	case device.Unary:
		rows, cols := few(op.X.Rows), few(op.X.Cols)
		op.X, op.Y = w.mat(op.X, rows, cols), w.mat(op.Y, rows, cols)
		like, result = op, op.Y
	case device.Binary:
		rows, cols := few(op.A.Rows), few(op.A.Cols)
		op.A, op.B, op.Y = w.mat(op.A, rows, cols), w.mat(op.B, min(op.B.Rows, rows), cols), w.mat(op.Y, rows, cols)
		like, result = op, op.Y
	case device.GatedAdd:
		rows, cols := few(op.A.Rows), few(op.A.Cols)
		op.A, op.B, op.Y = w.mat(op.A, rows, cols), w.mat(op.B, min(op.B.Rows, rows), cols), w.mat(op.Y, rows, cols)
		op.Gate = w.mat(op.Gate, min(op.Gate.Rows, rows), cols)
		like, result = op, op.Y
	case device.Gather:
		rows, cols, table := few(op.Y.Rows), few(op.Y.Cols), min(op.Table.Rows, 16)
		op.Table, op.IDs, op.Y = w.mat(op.Table, table, cols), w.matBelow(op.IDs, 1, rows, table), w.mat(op.Y, rows, cols)
		like, result = op, op.Y
	case device.Move:
		rows, cols := few(op.X.Rows), few(op.X.Cols)
		op.X, op.Y = w.mat(op.X, rows, cols), w.mat(op.Y, few(op.Y.Rows), few(op.Y.Cols))
		like, result = op, op.Y
	case device.Conv:
		like, result = w.conv(op)
	}
	return like, result, like != nil && like.Check() == nil
}

func (w *twin) linear(l device.Linear) (device.Op, device.Mat) {
	m, n, k := few(l.X.Rows), few(l.W.Out), l.W.In
	if k > 80 {
		k = 64 + k%32 // whole slices where those are
	}
	l.W.Out = n
	switch l.W.Format {
	case device.Dense, device.INT8, device.FP8:
		l.W.In = k
		l.W.Data, l.W.Scale = w.mat(l.W.Data, n, k), w.row(l.W.Scale, n)
	case device.NF4: // whole blocks in a row, as those of a multiple of 4
		if l.W.In%l.W.Block != 0 {
			return nil, device.Mat{}
		}
		k = l.W.Block
		l.W.In = k
		l.W.Data, l.W.Scale = w.row(l.W.Data, (n*k+1)/2), w.row(l.W.Scale, n)
		l.W.Code, l.W.NestedCode = w.row(l.W.Code, 16), w.row(l.W.NestedCode, 256)
		if !l.W.Nested.IsZero() {
			l.W.Nested = w.row(l.W.Nested, ceilDiv(n, l.W.NestedBlock))
		}
	default: // whole blocks of which each byte is one of a small scale, too
		values, bytes := l.W.Format.Block()
		if values == 0 {
			return nil, device.Mat{}
		}
		k, l.W.In = values, values
		l.W.Data = w.matBelow(l.W.Data, n, bytes, 0x37)
	}
	l.X, l.Y, l.Add = w.mat(l.X, m, k), w.mat(l.Y, m, n), w.mat(l.Add, m, n)
	l.Bias, l.Gate = w.row(l.Bias, n), w.row(l.Gate, n)
	return l, l.Y
}

func (w *twin) attention(a device.Attention) (device.Op, device.Mat) {
	d := a.Q.Cols / a.Heads
	nq, nk := few(a.Q.Rows), few(a.K.Rows)
	a.Heads = min(a.Heads, 2)
	a.Scale = float32(1 / math.Sqrt(float64(d)))
	a.Q, a.K, a.V, a.O = w.mat(a.Q, nq, a.Heads*d), w.mat(a.K, nk, a.Heads*d), w.mat(a.V, nk, a.Heads*d), w.mat(a.O, nq, a.Heads*d)
	a.RelBias, a.KeyBias = w.mat(a.RelBias, a.Heads, nq+nk-1), w.row(a.KeyBias, nk)
	return a, a.O
}

// side is of the frames of a convolution's twin.
const side = 8

func (w *twin) conv(c device.Conv) (device.Op, device.Mat) {
	t, cin, cout := min(c.Y.T, 2), few(c.X.C), few(c.Y.C)
	h, width := side*c.Y.H/c.X.H, side*c.Y.W/c.X.W
	c.X = w.frames(c.X, (t-1)*c.StrideT+1, side, side, cin)
	for i := range c.Prev {
		c.Prev[i] = w.frames(c.Prev[i], 1, side, side, cin)
	}
	c.W, c.Bias = w.mat(c.W, cout, cin*c.KT*c.KH*c.KW), w.row(c.Bias, cout)
	c.Y, c.Add = w.frames(c.Y, t, h, width, cout), w.frames(c.Add, t, h, width, cout)
	return c, frameRows(c.Y)
}
