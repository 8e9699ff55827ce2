package device

// Format is how a weight is stored. Each has its row in formats, its side tensors in
// Weight's check, a path in every device's kernels, and one in the loader of weights.
type Format uint8

// The formats of weights. Scales are the weight's own side tensors, see Weight.
const (
	// Dense weights are Data as it is, [out, in] in F32, F16, BF16, F8E4M3 or F8E5M2; there
	// are no side tensors.
	Dense Format = iota
	// INT8 weights are w[o,i] = Data[o,i] * Scale[o]: Data is I8, [out, in], and Scale F32,
	// one row of out columns. (bitsandbytes' SCB is 127 times this scale.)
	INT8
	// NF4 weights are two 4-bit codes a byte over the flattened matrix, the even element in
	// the high nibble, in blocks of Block elements: w = Code[code] * Scale[block]. Data is
	// U8, one row of out*in/2. Scale is one row of F32, or, double-quantised, of U8 with
	// scale[b] = NestedCode[Scale[b]] * Nested[b/NestedBlock] + NestedOffset.
	NF4
	// FP8 weights are w[o,i] = Data[o,i] * Scale[o]: Data is F8E4M3 or F8E5M2, [out, in], and
	// Scale F32, one row of out columns.
	FP8

	// The formats of GGUF have a row of bytes for each row of the matrix, in blocks that hold
	// scales and codes of so many values: Data is U8, [out, bytes of a row], and there are no
	// side tensors. Package weights decodes each.
	Q4_0
	Q4_1
	Q5_0
	Q5_1
	Q8_0
	Q2_K
	Q3_K
	Q4_K
	Q5_K
	Q6_K
	IQ4_NL
	IQ4_XS
)

// formats are the names of the types of weights, for profiles and rates, and the blocks of
// GGUF's. Dense ones have their data's name.
var formats = [...]struct {
	name          string
	values, bytes int // of a block
}{
	Dense: {}, INT8: {"I8", 0, 0}, NF4: {"NF4", 0, 0}, FP8: {"FP8", 0, 0},
	Q4_0: {"Q4_0", 32, 18}, Q4_1: {"Q4_1", 32, 20}, Q5_0: {"Q5_0", 32, 22}, Q5_1: {"Q5_1", 32, 24}, Q8_0: {"Q8_0", 32, 34},
	Q2_K: {"Q2_K", 256, 84}, Q3_K: {"Q3_K", 256, 110}, Q4_K: {"Q4_K", 256, 144}, Q5_K: {"Q5_K", 256, 176}, Q6_K: {"Q6_K", 256, 210},
	IQ4_NL: {"IQ4_NL", 32, 18}, IQ4_XS: {"IQ4_XS", 256, 136},
}

// Block returns how many values and bytes a block of a format of GGUF has; 0 of the others.
func (f Format) Block() (values, bytes int) { return formats[f].values, formats[f].bytes }

// String returns the format's name, "" for Dense.
func (f Format) String() string { return formats[f].name }

// RowBytes returns the bytes of a row of n values in a format of GGUF, whose blocks divide n.
func (f Format) RowBytes(n int) int { return n / formats[f].values * formats[f].bytes }

// BlockFormats are the formats of GGUF.
func BlockFormats() []Format {
	var list []Format
	for f := range formats {
		if formats[f].values > 0 {
			list = append(list, Format(f))
		}
	}
	return list
}

// Weight is the right-hand matrix of Linear, [out, in] as checkpoints store it.
type Weight struct {
	Format  Format
	Data    Mat
	Out, In int
	Scale   Mat // of INT8, FP8 and NF4

	// Of NF4.
	Block        int // elements per scale, 64
	Code         Mat // F32, one row of 16 values
	Nested       Mat // F32; none where Scale is F32
	NestedCode   Mat // F32, one row of 256 values
	NestedBlock  int // scales per nested scale, 256
	NestedOffset float32
}

// NF4Block is the number of elements per scale that NF4 weights have by default.
const NF4Block = 64

// NewWeight returns a weight [out, in] in a format, with the tensors that belong to it, of
// sizes alone: operand makes each of them. dtype is the data's of a weight that is Dense or
// FP8.
func NewWeight(format Format, dtype DType, out, in int, operand func(dtype DType, rows, cols int) Mat) Weight {
	w := Weight{Format: format, Out: out, In: in}
	switch format {
	case Dense:
		w.Data = operand(dtype, out, in)
	case INT8:
		w.Data = operand(I8, out, in)
		w.Scale = operand(F32, 1, out)
	case NF4:
		w.Block = NF4Block
		w.Data = operand(U8, 1, (out*in+1)/2)
		w.Code = operand(F32, 1, 16)
		w.Scale = operand(F32, 1, (out*in+NF4Block-1)/NF4Block)
	case FP8:
		w.Data = operand(dtype, out, in)
		w.Scale = operand(F32, 1, out)
	default:
		w.Data = operand(U8, out, format.RowBytes(in))
	}
	return w
}

// DenseWeight views m, [out, in], as a weight that is not quantised.
func DenseWeight(m Mat) Weight { return Weight{Data: m, Out: m.Rows, In: m.Cols} }

// Type names the type that w is stored in, such as "BF16", "I8" or "NF4".
func (w Weight) Type() string {
	if w.Format == Dense {
		return w.Data.DType.String()
	}
	return w.Format.String()
}

// Bytes returns the size in bytes of w with its scales.
func (w Weight) Bytes() int64 {
	return w.Data.Bytes() + w.Scale.Bytes() + w.Code.Bytes() + w.Nested.Bytes() + w.NestedCode.Bytes()
}

// check checks w and that it has the side tensors of its format, and no others.
func (w Weight) check(k *checker) {
	k.mat("W.Data", w.Data)
	if w.Out < 1 || w.In < 1 {
		k.fail("W is [%d, %d]", w.Out, w.In)
	}
	switch w.Format {
	case Dense:
		k.shape("W.Data", w.Data, w.Out, w.In)
		if w.Data.DType == I8 || !w.Scale.IsZero() {
			k.fail("W is I8 or has a scale, and its format is Dense")
		}
	case INT8:
		k.dtype("W.Data", w.Data, I8)
		k.shape("W.Data", w.Data, w.Out, w.In)
		k.row("W.Scale", w.Scale, w.Out)
	case NF4:
		w.checkNF4(k)
	case FP8:
		if w.Data.DType != F8E4M3 && w.Data.DType != F8E5M2 {
			k.fail("W.Data is %v, want F8_E4M3 or F8_E5M2", w.Data.DType)
		}
		k.shape("W.Data", w.Data, w.Out, w.In)
		k.row("W.Scale", w.Scale, w.Out)
	default:
		w.checkBlocks(k)
	}
	if w.Format != NF4 && (w.Block != 0 || !w.Code.IsZero() || !w.Nested.IsZero() || !w.NestedCode.IsZero()) {
		k.fail("W has fields of NF4, which is not its format")
	}
}

func (w Weight) checkBlocks(k *checker) {
	if int(w.Format) >= len(formats) {
		k.fail("W has no such format: %d", w.Format)
		return
	}
	if values, _ := w.Format.Block(); w.In%values != 0 {
		k.fail("%v weights of %d columns, want a multiple of %d", w.Format, w.In, values)
		return
	}
	k.dtype("W.Data", w.Data, U8)
	k.shape("W.Data", w.Data, w.Out, w.Format.RowBytes(w.In))
	if !w.Scale.IsZero() {
		k.fail("%v weights have scales of their own and W.Scale", w.Format)
	}
}

func (w Weight) checkNF4(k *checker) {
	n := w.Out * w.In
	if n%2 != 0 || w.Block < 1 {
		k.fail("NF4 weights of %d elements in blocks of %d, want an even number and 1 or more", n, w.Block)
		return
	}
	k.dtype("W.Data", w.Data, U8)
	k.shape("W.Data", w.Data, 1, n/2)
	k.row("W.Code", w.Code, 16)
	blocks := (n + w.Block - 1) / w.Block
	if w.Nested.IsZero() {
		k.row("W.Scale", w.Scale, blocks)
		return
	}
	k.mat("W.Scale", w.Scale)
	k.shape("W.Scale", w.Scale, 1, blocks)
	if w.Scale.DType != U8 {
		k.fail("W.Scale is %v beside W.Nested, want U8", w.Scale.DType)
	}
	if w.NestedBlock < 1 {
		k.fail("W.NestedBlock is %d", w.NestedBlock)
		return
	}
	k.row("W.Nested", w.Nested, (blocks+w.NestedBlock-1)/w.NestedBlock)
	k.row("W.NestedCode", w.NestedCode, 256)
}
