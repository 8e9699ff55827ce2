package nn

import (
	"fmt"

	"gimbal/inference/device"
)

// Linear is a layer: x·Wᵀ + bias.
type Linear struct {
	Weight device.Weight // [out, in]
	Bias   device.Mat    // [1, out]; zero for none
	Sides  []Side        // products that are added to it
	Narrow *Narrow       // where those of Sides with more than one factor work
}

// Side is a product beside that of a layer: (Scale * (x·Downᵀ))·Upᵀ, or x·Upᵀ without Down.
// That is what a LoRA is to a layer whose weight stays as it is, whatever its format: exact,
// and at rank r for 2*r*(in+out) operations a row.
//
// With Left it is the product with Left⊗W, where W is Up or, with Down, Up·Down, see kronecker.
type Side struct {
	Left  device.Weight // [out of Left, in of Left]; zero for none
	Down  device.Weight // [rank, in]; zero for none
	Up    device.Weight // [out, rank], or [out, in] without Down
	Scale device.Mat    // [1, rank]; zero for 1
	// OtherDown and OtherUp make it the product with (Up·Downᵀ)*(OtherUp·OtherDownᵀ), element by
	// element, see hadamard. Down and OtherDown are then [in, rank], each of a rank of its own.
	OtherDown, OtherUp device.Weight
}

// Narrow is memory for what lies between the factors of a side, which layers share: one of
// them works at a time.
type Narrow struct{ Mat device.Mat }

// of returns a matrix [rows, cols] in n's memory, from a number of values on.
func (n *Narrow) of(from, rows, cols int) device.Mat {
	return device.Mat{Buf: n.Mat.Buf, DType: n.Mat.DType, Offset: from, Rows: rows, Cols: cols, Stride: cols}
}

// Room is how much of Narrow layers need.
type Room struct {
	rank    int // columns, for all rows
	product int // columns, for kroneckerRows at a time
	fixed   int // values, for any number of rows
}

// Or returns room for either.
func (r Room) Or(o Room) Room {
	return Room{max(r.rank, o.rank), max(r.product, o.product), max(r.fixed, o.fixed)}
}

// Values returns the number of values for so many rows.
func (r Room) Values(rows int) int {
	return max(rows*r.rank, min(rows, kroneckerRows)*r.product, r.fixed)
}

// Room returns what the layer's sides need.
func (l Linear) Room() (most Room) {
	for _, s := range l.Sides {
		switch {
		case s.Left.Out > 0:
			most = most.Or(Room{product: 2 * s.width()})
		case s.OtherUp.Out > 0:
			most = most.Or(Room{fixed: 2 * min(hadamardRows, s.Up.Out) * s.Down.Out})
		default:
			most = most.Or(Room{rank: s.Down.Out})
		}
	}
	return most
}

// Epilogue is what becomes of a layer's result on its way to y: Add + Gate * Act(result).
// The zero value leaves it as it is.
type Epilogue struct {
	Act  device.Func
	Gate device.Mat // [1, out]
	Add  device.Mat // [rows, out]; may be y
}

// Record records y = epilogue(x·Wᵀ + bias) for x, [rows, in], and y, [rows, out]. It may take
// several operations.
func (l Linear) Record(enc device.Encoder, x, y device.Mat, e Epilogue) {
	if len(l.Sides) == 0 {
		enc.Record(device.Linear{X: x, Y: y, W: l.Weight, Bias: l.Bias, Act: e.Act, Gate: e.Gate, Add: e.Add})
		return
	}
	if e.Act != device.Identity && (!e.Gate.IsZero() || !e.Add.IsZero()) {
		panic("nn: a layer with sides, a function and more behind it") // none of the models has one
	}
	// What is added goes first: every product is then added to y on its way there.
	add := e.Add
	for _, s := range l.Sides {
		if s.Left.Out > 0 || s.OtherUp.Out > 0 {
			continue
		}
		in := x
		if s.Down.Out > 0 {
			in = l.Narrow.of(0, x.Rows, s.Down.Out)
			enc.Record(device.Linear{X: x, Y: in, W: s.Down, Gate: s.Scale})
		}
		enc.Record(device.Linear{X: in, Y: y, W: s.Up, Gate: e.Gate, Add: add})
		add = y
	}
	enc.Record(device.Linear{X: x, Y: y, W: l.Weight, Bias: l.Bias, Gate: e.Gate, Add: add})
	for _, s := range l.Sides {
		switch {
		case s.Left.Out > 0:
			s.kronecker(enc, l.Narrow, x, y, e.Gate)
		case s.OtherUp.Out > 0:
			s.hadamard(enc, l.Narrow, x, y, e.Gate)
		}
	}
	if e.Act != device.Identity {
		enc.Record(device.Unary{X: y, Y: y, F: e.Act})
	}
}

// kroneckerRows is how many rows a product of Kronecker's takes at a time, so that what lies
// between its factors stays small beside a layer's result.
const kroneckerRows = 512

// width is the number of columns of the larger of the two matrices between the factors.
func (s Side) width() int { return s.Up.Out * max(s.Left.In, s.Left.Out) }

// kronecker records y += Gate * x·(Left⊗W)ᵀ. A row of x, of Left.In parts, is seen as as many
// rows: they are multiplied with W, and then, turned over so that what Left adds up lies in a row,
// with Left. With factors of n columns and rows that takes about an n-th of the operations that
// Left⊗W would, and none of its memory.
func (s Side) kronecker(enc device.Encoder, narrow *Narrow, x, y, gate device.Mat) {
	if x.Stride != x.Cols {
		panic(fmt.Sprintf("nn: a product of Kronecker's of rows of %d that are %d apart", x.Cols, x.Stride)) // none of the models has one
	}
	left, inner := s.Left, s.Up.Out
	for from := 0; from < x.Rows; from += kroneckerRows {
		rows := min(kroneckerRows, x.Rows-from)
		parts := x.RowRange(from, from+rows)
		parts.Rows, parts.Cols = rows*left.In, x.Cols/left.In
		parts.Stride = parts.Cols
		second := min(kroneckerRows, x.Rows) * s.width() // where the other half of the memory begins
		a := func(rows, cols int) device.Mat { return narrow.of(0, rows, cols) }
		b := func(rows, cols int) device.Mat { return narrow.of(second, rows, cols) }

		if s.Down.Out > 0 {
			down := b(parts.Rows, s.Down.Out)
			enc.Record(device.Linear{X: parts, Y: down, W: s.Down})
			parts = down
		}
		enc.Record(device.Linear{X: parts, Y: a(rows*left.In, inner), W: s.Up})
		enc.Record(device.Move{X: a(rows*left.In, inner), Y: b(inner, rows*left.In), Transpose: true})
		enc.Record(device.Linear{X: b(inner*rows, left.In), Y: a(inner*rows, left.Out), W: left})
		enc.Record(device.Move{X: a(inner, rows*left.Out), Y: b(rows*left.Out, inner), Transpose: true})

		to, sum := y.RowRange(from, from+rows), b(rows, left.Out*inner)
		if gate.IsZero() {
			enc.Record(device.Binary{A: to, B: sum, Y: to, Op: device.Add})
		} else {
			enc.Record(device.GatedAdd{A: sum, Gate: gate, B: to, Y: to})
		}
	}
}

// hadamardRows is how many rows of a product of Hadamard's are made at a time.
const hadamardRows = 256

// hadamard records y += Gate * x·((Up·Downᵀ)*(OtherUp·OtherDownᵀ))ᵀ. Some rows of the matrix are
// made at a time, whenever they are used: for two ranks r that takes 2*r/rows(x) of the
// operations of the product itself, and the memory of these rows.
func (s Side) hadamard(enc device.Encoder, narrow *Narrow, x, y, gate device.Mat) {
	out, in := s.Up.Out, s.Down.Out
	for from := 0; from < out; from += hadamardRows {
		to := min(from+hadamardRows, out)
		a, b := narrow.of(0, to-from, in), narrow.of(min(hadamardRows, out)*in, to-from, in)
		enc.Record(device.Linear{X: s.Up.Data.RowRange(from, to), Y: a, W: s.Down})
		enc.Record(device.Linear{X: s.OtherUp.Data.RowRange(from, to), Y: b, W: s.OtherDown})
		enc.Record(device.Binary{A: a, B: b, Y: a, Op: device.Mul})
		l := device.Linear{X: x, Y: y.ColRange(from, to), W: device.DenseWeight(a), Add: y.ColRange(from, to)}
		if !gate.IsZero() {
			l.Gate = gate.ColRange(from, to)
		}
		enc.Record(l)
	}
}
