package device

import "fmt"

// The Check methods panic on a shape mistake of the caller: operands that do
// not fit each other or their buffers, a destination that overlaps an operand
// where it may not, a missing operand, or another type than F32 where an
// operation names F32. Every device calls them first; which of the remaining
// data types it takes is the device's own business (ErrUnsupported).

// Check panics on a shape mistake.
func (l Linear) Check() {
	const op = "Linear"
	mat(op, "X", l.X)
	mat(op, "Y", l.Y)
	l.W.check(op)
	shape(op, "X", l.X, l.X.Rows, l.W.In)
	shape(op, "Y", l.Y, l.X.Rows, l.W.Out)
	optional(op, "Bias", l.Bias, 1, l.W.Out)
	optional(op, "Gate", l.Gate, 1, l.W.Out)
	known(op, "Act", l.Act)
	apart(op, "Y", l.Y, named{"X", l.X}, named{"W.Data", l.W.Data}, named{"Bias", l.Bias}, named{"Gate", l.Gate})
	if !l.Add.IsZero() {
		mat(op, "Add", l.Add)
		shape(op, "Add", l.Add, l.X.Rows, l.W.Out)
		sameOrApart(op, "Y", l.Y, named{"Add", l.Add})
	}
}

func (w Weight) check(op string) {
	mat(op, "W.Data", w.Data)
	if w.Out < 1 || w.In < 1 {
		fail(op, "W is [%d, %d]", w.Out, w.In)
	}
	switch {
	case w.NF4:
		w.checkNF4(op)
	case w.Data.DType == I8:
		shape(op, "W.Data", w.Data, w.Out, w.In)
		row(op, "W.Scale", w.Scale, w.Out)
	default:
		shape(op, "W.Data", w.Data, w.Out, w.In)
	}
	if !w.NF4 && (w.Block != 0 || !w.Code.IsZero() || !w.Nested.IsZero() || !w.NestedCode.IsZero()) {
		fail(op, "W has NF4 fields and NF4 is false")
	}
}

func (w Weight) checkNF4(op string) {
	n := w.Out * w.In
	if w.Data.DType != U8 || n%2 != 0 {
		fail(op, "NF4 weights of %d elements in %v, want an even number in U8", n, w.Data.DType)
	}
	shape(op, "W.Data", w.Data, 1, n/2)
	if w.Block < 1 {
		fail(op, "W.Block is %d", w.Block)
	}
	row(op, "W.Code", w.Code, 16)
	blocks := (n + w.Block - 1) / w.Block
	if w.Nested.IsZero() {
		row(op, "W.Scale", w.Scale, blocks)
		return
	}
	mat(op, "W.Scale", w.Scale)
	shape(op, "W.Scale", w.Scale, 1, blocks)
	if w.Scale.DType != U8 {
		fail(op, "W.Scale is %v beside W.Nested, want U8", w.Scale.DType)
	}
	if w.NestedBlock < 1 {
		fail(op, "W.NestedBlock is %d", w.NestedBlock)
	}
	row(op, "W.Nested", w.Nested, (blocks+w.NestedBlock-1)/w.NestedBlock)
	row(op, "W.NestedCode", w.NestedCode, 256)
}

// Check panics on a shape mistake.
func (a Attention) Check() {
	const op = "Attention"
	mat(op, "Q", a.Q)
	mat(op, "K", a.K)
	mat(op, "V", a.V)
	mat(op, "O", a.O)
	heads(op, a.Heads, a.Q.Cols)
	shape(op, "K", a.K, a.K.Rows, a.Q.Cols)
	shape(op, "V", a.V, a.K.Rows, a.Q.Cols)
	shape(op, "O", a.O, a.Q.Rows, a.Q.Cols)
	if a.K.Rows < 1 {
		fail(op, "no keys")
	}
	if !a.RelBias.IsZero() {
		f32(op, "RelBias", a.RelBias)
		shape(op, "RelBias", a.RelBias, a.Heads, a.Q.Rows+a.K.Rows-1)
	}
	optional(op, "KeyBias", a.KeyBias, 1, a.K.Rows)
	sameOrApart(op, "O", a.O, named{"Q", a.Q})
	apart(op, "O", a.O, named{"K", a.K}, named{"V", a.V}, named{"RelBias", a.RelBias}, named{"KeyBias", a.KeyBias})
}

// Check panics on a shape mistake.
func (n Norm) Check() {
	const op = "Norm"
	mat(op, "X", n.X)
	mat(op, "Y", n.Y)
	if n.Kind != RMSNorm && n.Kind != LayerNorm {
		fail(op, "no such kind: %d", n.Kind)
	}
	known(op, "Act", n.Act)
	shape(op, "Y", n.Y, n.X.Rows, n.X.Cols)
	optional(op, "Weight", n.Weight, 1, n.X.Cols)
	optional(op, "Bias", n.Bias, 1, n.X.Cols)
	optional(op, "Scale", n.Scale, 1, n.X.Cols)
	optional(op, "Shift", n.Shift, 1, n.X.Cols)
	sameOrApart(op, "Y", n.Y, named{"X", n.X})
	apart(op, "Y", n.Y, named{"Weight", n.Weight}, named{"Bias", n.Bias}, named{"Scale", n.Scale}, named{"Shift", n.Shift})
}

// Check panics on a shape mistake.
func (r Rope) Check() {
	const op = "Rope"
	mat(op, "X", r.X)
	mat(op, "Y", r.Y)
	heads(op, r.Heads, r.X.Cols)
	d := r.X.Cols / r.Heads
	if d%2 != 0 {
		fail(op, "heads of %d columns, want an even number", d)
	}
	shape(op, "Y", r.Y, r.X.Rows, r.X.Cols)
	mat(op, "Cos", r.Cos)
	mat(op, "Sin", r.Sin)
	f32(op, "Cos", r.Cos)
	f32(op, "Sin", r.Sin)
	shape(op, "Cos", r.Cos, r.X.Rows, d/2)
	shape(op, "Sin", r.Sin, r.X.Rows, d/2)
	optional(op, "Weight", r.Weight, 1, r.X.Cols)
	sameOrApart(op, "Y", r.Y, named{"X", r.X})
	apart(op, "Y", r.Y, named{"Cos", r.Cos}, named{"Sin", r.Sin}, named{"Weight", r.Weight})
}

// Check panics on a shape mistake.
func (u Unary) Check() {
	const op = "Unary"
	mat(op, "X", u.X)
	mat(op, "Y", u.Y)
	known(op, "F", u.F)
	shape(op, "Y", u.Y, u.X.Rows, u.X.Cols)
	sameOrApart(op, "Y", u.Y, named{"X", u.X})
}

// Check panics on a shape mistake.
func (b Binary) Check() {
	const op = "Binary"
	mat(op, "A", b.A)
	mat(op, "B", b.B)
	mat(op, "Y", b.Y)
	if b.Op != Add && b.Op != Mul {
		fail(op, "no such function: %d", b.Op)
	}
	shape(op, "Y", b.Y, b.A.Rows, b.A.Cols)
	oneOrAll(op, "B", b.B, b.A.Rows, b.A.Cols)
	sameOrApart(op, "Y", b.Y, named{"A", b.A}, named{"B", b.B})
}

// Check panics on a shape mistake.
func (g GatedAdd) Check() {
	const op = "GatedAdd"
	mat(op, "A", g.A)
	mat(op, "Gate", g.Gate)
	mat(op, "B", g.B)
	mat(op, "Y", g.Y)
	shape(op, "B", g.B, g.A.Rows, g.A.Cols)
	shape(op, "Y", g.Y, g.A.Rows, g.A.Cols)
	oneOrAll(op, "Gate", g.Gate, g.A.Rows, g.A.Cols)
	sameOrApart(op, "Y", g.Y, named{"A", g.A}, named{"Gate", g.Gate}, named{"B", g.B})
}

// Check panics on a shape mistake.
func (g Gather) Check() {
	const op = "Gather"
	mat(op, "Table", g.Table)
	mat(op, "IDs", g.IDs)
	mat(op, "Y", g.Y)
	if g.IDs.DType != I32 {
		fail(op, "IDs are %v, want I32", g.IDs.DType)
	}
	shape(op, "IDs", g.IDs, 1, g.Y.Rows)
	shape(op, "Y", g.Y, g.Y.Rows, g.Table.Cols)
	apart(op, "Y", g.Y, named{"Table", g.Table}, named{"IDs", g.IDs})
}

// Check panics on a shape mistake.
func (m Move) Check() {
	const op = "Move"
	mat(op, "X", m.X)
	mat(op, "Y", m.Y)
	if m.Transpose {
		shape(op, "Y", m.Y, m.X.Cols, m.X.Rows)
		apart(op, "Y", m.Y, named{"X", m.X})
		return
	}
	shape(op, "Y", m.Y, m.X.Rows, m.X.Cols)
	sameOrApart(op, "Y", m.Y, named{"X", m.X})
}

func fail(op, format string, args ...any) {
	panic("device: " + op + ": " + fmt.Sprintf(format, args...))
}

// mat checks that m is there and lies within its buffer.
func mat(op, name string, m Mat) {
	if m.IsZero() {
		fail(op, "%s is missing", name)
	}
	if !m.DType.Valid() {
		fail(op, "%s has no such dtype: %d", name, m.DType)
	}
	if m.Rows < 0 || m.Cols < 1 || m.Offset < 0 || m.Rows > 1 && m.Stride < m.Cols {
		fail(op, "%s of %d rows of %d columns at %d, a row every %d, is no matrix", name, m.Rows, m.Cols, m.Offset, m.Stride)
	}
	within(op, name, m.Buf, m.DType, m.end())
}

func within(op, name string, b Buffer, t DType, end int) {
	if have := b.Desc().Bytes() / int64(t.Size()); int64(end) > have {
		fail(op, "%s ends at element %d of %q, which has room for %d of %v", name, end, b.Desc().Label, have, t)
	}
}

func shape(op, name string, m Mat, rows, cols int) {
	if m.Rows != rows || m.Cols != cols {
		fail(op, "%s is [%d, %d], want [%d, %d]", name, m.Rows, m.Cols, rows, cols)
	}
}

func oneOrAll(op, name string, m Mat, rows, cols int) {
	if m.Rows != 1 {
		shape(op, name, m, rows, cols)
	}
	shape(op, name, m, m.Rows, cols)
}

func f32(op, name string, m Mat) {
	mat(op, name, m)
	if m.DType != F32 {
		fail(op, "%s is %v, want F32", name, m.DType)
	}
}

// row checks an F32 row that must be there, optional one that need not.
func row(op, name string, m Mat, cols int) {
	f32(op, name, m)
	shape(op, name, m, 1, cols)
}

func optional(op, name string, m Mat, rows, cols int) {
	if !m.IsZero() {
		f32(op, name, m)
		shape(op, name, m, rows, cols)
	}
}

func heads(op string, n, cols int) {
	if n < 1 || cols%n != 0 {
		fail(op, "%d columns in %d heads", cols, n)
	}
}

func known(op, name string, f Func) {
	if f > Clamp1 {
		fail(op, "%s is no such function: %d", name, f)
	}
}

// named is an operand with the name that a message gives it.
type named struct {
	name string
	m    Mat
}

// apart checks that y overlaps none of the operands. They are no interfaces, so that
// checking allocates nothing.
func apart(op, name string, y Mat, operands ...named) {
	for _, o := range operands {
		if overlap(y, o.m) {
			fail(op, "%s overlaps %s", name, o.name)
		}
	}
}

// sameOrApart is apart, and lets pass the operands that are the same view as y.
func sameOrApart(op, name string, y Mat, operands ...named) {
	for _, o := range operands {
		if !y.same(o.m) {
			apart(op, name, y, o)
		}
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
