package device

import "testing"

func TestCost(t *testing.T) {
	x, y, half := newMat(F32, 4, 6), newMat(F32, 4, 5), newMat(BF16, 4, 6)
	row, outRow := newMat(F32, 1, 6), newMat(F32, 1, 5)
	clip := newFrames(2, 5, 6, 3)
	nf4 := Weight{Data: newMat(U8, 1, 15), Out: 5, In: 6, Format: NF4, Block: 8, Code: newMat(F32, 1, 16), Scale: newMat(F32, 1, 4)}
	for _, c := range []struct {
		op   Op
		want Cost
	}{
		{Linear{X: x, Y: y, W: DenseWeight(newMat(BF16, 5, 6))}, Cost{2 * 4 * 6 * 5, 96 + 60 + 80}},
		{Linear{X: x, Y: y, W: nf4, Bias: outRow, Gate: outRow, Add: y}, Cost{240, 96 + 15 + 64 + 16 + 20 + 20 + 80 + 80}},
		{Attention{Q: x, K: newMat(F32, 7, 6), V: newMat(F32, 7, 6), O: x, Heads: 2, KeyBias: newMat(F32, 1, 7)}, Cost{4 * 4 * 7 * 6, 2*96 + 2*168 + 28}},
		{Norm{X: half, Y: x, Kind: RMSNorm, Weight: row}, Cost{4 * 24, 48 + 24 + 96}},
		{Norm{X: x, Y: x, Kind: LayerNorm, Scale: row, Shift: row, Act: SiLU}, Cost{11 * 24, 240}},
		{Rope{X: x, Y: x, Cos: newMat(F32, 4, 3), Sin: newMat(F32, 4, 3)}, Cost{3 * 24, 2*96 + 2*48}},
		{Conv{X: clip, Prev: [2]Frames{1: clip.Range(0, 1)}, Y: newFrames(2, 5, 6, 4), W: newMat(F32, 4, 81)}, Cost{2 * 60 * 4 * 81, 720 + 360 + 1296 + 960}},
		{Unary{X: x, Y: half, F: GELU}, Cost{8 * 24, 96 + 48}},
		{Binary{A: x, B: row, Y: x, Op: Add}, Cost{24, 216}},
		{GatedAdd{A: x, Gate: row, B: x, Y: x, Plus: 1}, Cost{72, 312}},
		{Gather{Table: newMat(BF16, 900, 6), IDs: newMat(I32, 1, 4), Y: x}, Cost{0, 48 + 16 + 96}},
		{Move{X: x, Y: half}, Cost{0, 144}},
	} {
		if got := c.op.Cost(); got != c.want {
			t.Errorf("%T costs %+v, want %+v", c.op, got, c.want)
		}
	}
}

// TestCheckAllocates nothing: every dispatch is checked.
func TestCheckAllocates(t *testing.T) {
	x, row, clip := newMat(F32, 6, 6), newMat(F32, 1, 6), newFrames(2, 5, 6, 3)
	linear := Linear{X: x, W: DenseWeight(newMat(F32, 6, 6)), Y: newMat(F32, 6, 6), Bias: row, Gate: row}
	attention := Attention{Q: x, K: newMat(F32, 6, 6), V: newMat(F32, 6, 6), O: x, Heads: 1, KeyBias: row}
	conv := Conv{X: clip, Y: newFrames(2, 5, 6, 3), Prev: [2]Frames{1: newFrames(1, 5, 6, 3)}, W: newMat(F32, 3, 81), KT: 3, KH: 3, KW: 3, StrideT: 1, Stride: 1, PadH: 1, PadW: 1}
	n := testing.AllocsPerRun(10, func() {
		linear.Check()
		attention.Check()
		conv.Check()
		Norm{X: x, Y: x, Kind: RMSNorm, Weight: row}.Check()
		GatedAdd{A: x, Gate: row, B: x, Y: x}.Check()
		Move{X: x, Y: x}.Check()
	})
	if n != 0 {
		t.Errorf("checking operations allocates %v times", n)
	}
}
