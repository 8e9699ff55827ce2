package device

import (
	"fmt"
	"strings"
	"testing"
)

// memory is a buffer of n elements.
type memory struct{ desc Desc }

func (m *memory) Desc() Desc { return m.desc }
func (m *memory) Release()   {}

func newMat(t DType, rows, cols int) Mat {
	return AsMat(&memory{Desc{Label: "test", DType: t, Shape: []int{rows, cols}}})
}

func newFrames(t, h, w, c int) Frames {
	return AsFrames(&memory{Desc{Label: "test", DType: F32, Shape: []int{t, h, w, c}}})
}

func TestOverlap(t *testing.T) {
	m := newMat(F32, 6, 8)
	other := newMat(F32, 6, 8)
	wrapped := Mat{Buf: m.Buf, DType: F32, Offset: 6, Rows: 5, Cols: 4, Stride: 8} // columns 6, 7 and 0, 1
	half := Mat{Buf: m.Buf, DType: BF16, Offset: 6, Rows: 1, Cols: 2, Stride: 2}   // element 3 in half the size
	for i, c := range []struct {
		a, b Mat
		want bool
	}{
		{m, m, true}, {m, other, false}, {m, Mat{}, false},
		{m.RowRange(0, 3), m.RowRange(3, 6), false}, {m.RowRange(0, 4), m.RowRange(3, 6), true},
		{m.ColRange(0, 4), m.ColRange(4, 8), false}, {m.ColRange(0, 5), m.ColRange(4, 8), true},
		{m.ColRange(0, 4).RowRange(1, 5), m.ColRange(4, 8), false}, {m.ColRange(2, 6), wrapped, false},
		{m.ColRange(1, 3), wrapped, true}, {m.ColRange(5, 7), wrapped, true},
		{m.Row(2), m.ColRange(3, 4), true}, {m.RowRange(2, 2), m, false},
		{m.Row(0).ColRange(3, 4), half, true}, {m.Row(0).ColRange(4, 5), half, false},
	} {
		if overlap(c.a, c.b) != c.want || overlap(c.b, c.a) != c.want {
			t.Errorf("case %d: overlap is %v, want %v", i, !c.want, c.want)
		}
	}
}

// TestCheck changes one thing of a sound operation at a time.
func TestCheck(t *testing.T) {
	x, y, w := newMat(F32, 4, 6), newMat(F32, 4, 5), newMat(F32, 5, 6)
	row := newMat(F32, 1, 6)
	linear := Linear{X: x, Y: y, W: DenseWeight(w)}
	nf4 := Linear{X: x, Y: y, W: Weight{Data: newMat(U8, 1, 15), Out: 5, In: 6, Format: NF4, Block: 8, Code: newMat(F32, 1, 16), Scale: newMat(F32, 1, 4)}}
	attention := Attention{Q: x, K: newMat(F32, 7, 6), V: newMat(F32, 7, 6), O: newMat(F32, 4, 6), Heads: 2}
	conv := Conv{X: newFrames(2, 5, 6, 3), Y: newFrames(2, 5, 6, 4), W: newMat(F32, 4, 81), KT: 3, KH: 3, KW: 3, StrideT: 1, Stride: 1, PadH: 1, PadW: 1}
	rope := Rope{X: x, Y: x, Heads: 1, Cos: newMat(F32, 4, 3), Sin: newMat(F32, 4, 3)}
	for _, c := range []struct {
		op   Op
		want string // of the error, or nothing
	}{
		{linear, ""},
		{with(linear, func(l *Linear) { l.Add = y }), ""},
		{with(linear, func(l *Linear) { l.Add = newMat(BF16, 4, 5) }), ""},
		{with(linear, func(l *Linear) { l.X = x.RowRange(0, 3) }), "Y is [4, 5], want [3, 5]"},
		{with(linear, func(l *Linear) { l.W.In = 7 }), "W.Data is [5, 6], want [5, 7]"},
		{with(linear, func(l *Linear) { l.Bias = row }), "Bias is [1, 6], want [1, 5]"},
		{with(linear, func(l *Linear) { l.Bias = newMat(BF16, 1, 5) }), "Bias is BF16, want F32"},
		{with(linear, func(l *Linear) { l.Y.Stride = 4 }), "is no matrix"},
		{with(linear, func(l *Linear) { l.Y.Offset = 1 }), `ends at element 21 of "test", which has room for 20`},
		{with(linear, func(l *Linear) { l.W.Data.DType = I8 }), "its format is Dense"},
		{with(linear, func(l *Linear) { l.W.Data.DType, l.W.Format = I8, INT8 }), "W.Scale is missing"},
		{with(linear, func(l *Linear) { l.W.Format = INT8 }), "W.Data is F32, want I8"},
		{with(linear, func(l *Linear) { l.W.Block = 64 }), "fields of NF4"},
		{with(linear, func(l *Linear) { l.W.Format = 200 }), "no such format"},
		{with(linear, func(l *Linear) { l.W.Format = FP8 }), "W.Data is F32, want F8_E4M3 or F8_E5M2"},
		{with(linear, func(l *Linear) { l.W.Format = Q8_0 }), "a multiple of 32"},
		{Linear{}, "X is missing"},
		{with(linear, func(l *Linear) { l.Act = ReLU + 1 }), "no such function"},
		{nf4, ""},
		{with(nf4, func(l *Linear) { l.W.Block = 16 }), "W.Scale is [1, 4], want [1, 2]"},
		{with(nf4, func(l *Linear) { l.W.Nested = newMat(F32, 1, 1) }), "W.Scale is F32 beside W.Nested"},
		{attention, ""},
		{with(attention, func(a *Attention) { a.O = a.Q }), ""},
		{with(attention, func(a *Attention) { a.O = a.K.RowRange(0, 4) }), "O overlaps K"},
		{with(attention, func(a *Attention) { a.Heads = 4 }), "6 columns in 4 heads"},
		{with(attention, func(a *Attention) { a.RelBias = newMat(F32, 2, 11) }), "RelBias is [2, 11], want [2, 10]"},
		{conv, ""},
		{with(conv, func(c *Conv) { c.Prev[1] = c.X.Range(0, 1) }), ""},
		{with(conv, func(c *Conv) { c.Prev[1] = c.X }), "Prev is [2, 5, 6, 3], want [1, 5, 6, 3]"},
		{with(conv, func(c *Conv) { c.Prev[1] = c.Y.Range(0, 1) }), "Prev is [1, 5, 6, 4]"},
		{with(conv, func(c *Conv) { c.KT, c.Prev[0], c.W = 2, c.X.Range(0, 1), newMat(F32, 4, 54) }), "does not reach"},
		{with(conv, func(c *Conv) { c.StrideT = 2 }), "2 frames out of 2, one every 2"},
		{with(conv, func(c *Conv) { c.Stride = 0 }), "want at least 1"},
		{with(conv, func(c *Conv) { c.PadH = 3 }), "5 rows out of 5"},
		{with(conv, func(c *Conv) { c.Y, c.Upsample = newFrames(2, 10, 12, 4), true }), ""},
		{with(conv, func(c *Conv) { c.Y = newFrames(2, 5, 8, 4) }), "8 columns out of 6"},
		{rope, ""},
		{with(rope, func(r *Rope) { r.Heads = 0 }), "6 columns in 0 heads"},
		{with(rope, func(r *Rope) { r.Heads = 2 }), "heads of 3 columns"},
		{Norm{X: x, Y: x, Kind: RMSNorm, Weight: row}, ""},
		{Norm{X: x, Y: x}, "no such kind"},
		{Norm{X: x, Y: x, Kind: RMSNorm, Shift: x}, "Shift is [4, 6], want [1, 6]"},
		{Attention{}, "Q is missing"}, {Norm{}, "X is missing"}, {Rope{}, "X is missing"}, {Conv{}, "X is missing"},
		{Unary{}, "X is missing"}, {Binary{}, "A is missing"}, {GatedAdd{}, "A is missing"}, {Gather{}, "Table is missing"}, {Move{}, "X is missing"},
		{Unary{X: x, Y: newMat(BF16, 4, 6)}, ""},
		{Unary{X: x}, "Y is missing"},
		{Binary{A: x, B: row, Y: x, Op: Mul}, ""},
		{Binary{A: x, B: x.RowRange(0, 2), Y: x, Op: Mul}, "B is [2, 6], want [4, 6]"},
		{Binary{A: x, B: x.Row(0), Y: x, Op: Mul}, "Y overlaps B"},
		{GatedAdd{A: x, Gate: row, B: x, Y: x}, ""},
		{GatedAdd{A: x, Gate: row, B: row, Y: x}, "B is [1, 6], want [4, 6]"},
		{Gather{Table: newMat(BF16, 9, 6), IDs: newMat(I32, 1, 4), Y: x}, ""},
		{Gather{Table: x, IDs: newMat(I64, 1, 4), Y: newMat(F32, 4, 6)}, "IDs is I64, want I32"},
		{Move{X: x, Y: newMat(F32, 6, 4), Transpose: true}, ""},
		{Move{X: x, Y: newMat(F32, 6, 4)}, "Y is [6, 4], want [4, 6]"},
	} {
		got := ""
		if err := c.op.Check(); err != nil {
			got = err.Error()
		}
		if (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%v has the mistake %q, want %q", c.op, got, c.want)
		}
		if message := panicOf(func() { MustCheck(c.op) }); message != got {
			t.Errorf("%v panics with %q, want %q", c.op, message, got)
		}
	}
}

func with[T any](op T, change func(*T)) T {
	change(&op)
	return op
}

func panicOf(f func()) (message string) {
	defer func() {
		if r := recover(); r != nil {
			message = fmt.Sprint(r)
		}
	}()
	f()
	return ""
}
