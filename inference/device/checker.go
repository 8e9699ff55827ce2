package device

import "fmt"

// MustCheck panics with op's mistake, if there is one. A device calls it before it looks
// at what it is to record.
func MustCheck(op Op) {
	if err := op.Check(); err != nil {
		panic(err)
	}
}

// checker looks for the mistakes of one operation. It keeps the first one, and takes no
// interfaces, so that checking an operation without a mistake allocates nothing.
type checker struct {
	op  string
	err error
}

func (k *checker) fail(format string, args ...any) {
	if k.err == nil {
		k.err = fmt.Errorf("device: "+k.op+": "+format, args...)
	}
}

// mat checks that m is there and lies within its buffer.
func (k *checker) mat(name string, m Mat) {
	switch {
	case m.IsZero():
		k.fail("%s is missing", name)
	case !m.DType.Valid():
		k.fail("%s has no such dtype: %d", name, m.DType)
	case m.Rows < 0 || m.Cols < 1 || m.Offset < 0 || m.Rows > 1 && m.Stride < m.Cols:
		k.fail("%s of %d rows of %d columns at %d, a row every %d, is no matrix", name, m.Rows, m.Cols, m.Offset, m.Stride)
	default:
		k.within(name, m.Buf, m.DType, m.end())
	}
}

func (k *checker) within(name string, b Buffer, t DType, end int) {
	if have := b.Desc().Bytes() / int64(t.Size()); int64(end) > have {
		k.fail("%s ends at element %d of %q, which has room for %d of %v", name, end, b.Desc().Label, have, t)
	}
}

func (k *checker) shape(name string, m Mat, rows, cols int) {
	if m.Rows != rows || m.Cols != cols {
		k.fail("%s is [%d, %d], want [%d, %d]", name, m.Rows, m.Cols, rows, cols)
	}
}

func (k *checker) oneOrAll(name string, m Mat, rows, cols int) {
	if m.Rows != 1 {
		k.shape(name, m, rows, cols)
	}
	k.shape(name, m, m.Rows, cols)
}

func (k *checker) dtype(name string, m Mat, want DType) {
	if m.DType != want {
		k.fail("%s is %v, want %v", name, m.DType, want)
	}
}

func (k *checker) f32(name string, m Mat) {
	k.mat(name, m)
	k.dtype(name, m, F32)
}

// row checks an F32 row that must be there, optional one that need not.
func (k *checker) row(name string, m Mat, cols int) {
	k.f32(name, m)
	k.shape(name, m, 1, cols)
}

func (k *checker) optional(name string, m Mat, rows, cols int) {
	if !m.IsZero() {
		k.f32(name, m)
		k.shape(name, m, rows, cols)
	}
}

func (k *checker) heads(n, cols int) {
	if n < 1 || cols%n != 0 {
		k.fail("%d columns in %d heads", cols, n)
	}
}

func (k *checker) known(name string, f Func) {
	if f > ReLU {
		k.fail("%s is no such function: %d", name, f)
	}
}

// named is an operand with the name that a message gives it.
type named struct {
	name string
	m    Mat
}

// apart checks that y overlaps none of the operands.
func (k *checker) apart(name string, y Mat, operands ...named) {
	if k.err != nil {
		return // they need not be matrices
	}
	for _, o := range operands {
		if overlap(y, o.m) {
			k.fail("%s overlaps %s", name, o.name)
		}
	}
}

// sameOrApart is apart, and lets pass the operands that are the same view as y.
func (k *checker) sameOrApart(name string, y Mat, operands ...named) {
	for _, o := range operands {
		if !y.same(o.m) {
			k.apart(name, y, o)
		}
	}
}

func (k *checker) frames(name string, f Frames) {
	switch {
	case f.IsZero():
		k.fail("%s is missing", name)
	case !f.DType.Valid():
		k.fail("%s has no such dtype: %d", name, f.DType)
	case f.T < 0 || f.H < 1 || f.W < 1 || f.C < 1 || f.Offset < 0 || f.T > 1 && f.FrameStride < f.H*f.W*f.C:
		k.fail("%s of %d frames of %dx%dx%d at %d, one every %d, is no picture", name, f.T, f.H, f.W, f.C, f.Offset, f.FrameStride)
	default:
		k.within(name, f.Buf, f.DType, f.rows().end())
	}
}

func (k *checker) sameSize(name string, f Frames, t, h, w, c int) {
	if f.T != t || f.H != h || f.W != w || f.C != c {
		k.fail("%s is [%d, %d, %d, %d], want [%d, %d, %d, %d]", name, f.T, f.H, f.W, f.C, t, h, w, c)
	}
}

func (k *checker) framesApart(name string, f, y Frames) {
	k.apart("Y", y.rows(), named{name, f.rows()})
}

// edge checks that every window of size, one every stride, of which pad is before the
// edge, reaches at least one of n inputs.
func (k *checker) edge(what string, n, out, stride, pad, size int) {
	if pad < 0 || pad >= size || (out-1)*stride-pad >= n {
		k.fail("%d %s out of %d, one every %d, with a kernel of %d and %d before the edge", out, what, n, stride, size, pad)
	}
}

// end returns the element after m's last.
func (m Mat) end() int {
	if m.Rows == 0 {
		return m.Offset
	}
	return m.Offset + (m.Rows-1)*m.Stride + m.Cols
}

func (m Mat) same(o Mat) bool {
	if m.Rows <= 1 {
		o.Stride = m.Stride
	}
	return m == o
}

func (f Frames) same(o Frames) bool {
	if f.T <= 1 {
		o.FrameStride = f.FrameStride
	}
	return f == o
}

// rows views each frame as one row.
func (f Frames) rows() Mat {
	return Mat{Buf: f.Buf, DType: f.DType, Offset: f.Offset, Rows: f.T, Cols: f.H * f.W * f.C, Stride: f.FrameStride}
}

// overlap reports whether a and b share an element. Views of unequal stride
// overlap where their extents do.
func overlap(a, b Mat) bool {
	if a.IsZero() || a.Buf != b.Buf || a.Rows == 0 || b.Rows == 0 {
		return false
	}
	sa, sb := a.DType.Size(), b.DType.Size()
	if a.end()*sa <= b.Offset*sb || b.end()*sb <= a.Offset*sa {
		return false
	}
	if sa != sb || a.Rows == 1 || b.Rows == 1 || a.Stride != b.Stride {
		return true
	}
	// Columns of one larger matrix: apart if neither reaches into the other's.
	gap := ((b.Offset-a.Offset)%a.Stride + a.Stride) % a.Stride
	return gap < a.Cols || a.Stride-gap < b.Cols
}
