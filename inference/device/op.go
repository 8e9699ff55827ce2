package device

// Op is an operation: one of the ten structures of this file.
//
// Operands are views into buffers; an optional operand is left out by its zero value.
// Arithmetic is in F32 or wider: accumulators, norms and softmax always, GEMM and attention
// inputs as the device documents. Results are stored in the type of the destination.
//
// Unless an operation says otherwise, its destination may be the same view as one of its
// element-wise operands, and may not overlap any operand otherwise.
type Op interface {
	// Name returns the kind of operation, such as "Linear".
	Name() string
	// String returns the name with the sizes, such as "Linear 3120x5120x13824 F32*BF16".
	String() string
	// Check returns an error for a mistake of the caller: operands that do not go together
	// or lie outside of their buffers, a destination that overlaps an operand where it may
	// not, a missing operand, or another type than the operation names. Which of the other
	// data types a device takes is its own business.
	Check() error
	// Cost returns what the operation asks of a machine at the least.
	Cost() Cost

	sealed()
}

// Encoder records the operations of one submission.
type Encoder interface {
	// Record records op. A mistake that op's Check finds is a programmer's mistake and
	// panics; a data type that the device does not take is ErrUnsupported.
	Record(op Op)
}

// Func is a function of one element.
type Func uint8

// The functions of Unary and of the epilogues. Identity is the zero value.
const (
	Identity Func = iota
	SiLU          // x / (1 + exp(-x))
	GELU          // the tanh form: x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3)))
	Clamp1        // to [-1, 1]
	ReLU          // max(x, 0)
)

// Linear computes Y = Add + Gate * Act(X·Wᵀ + Bias).
//
// X is [m, in], Y and Add [m, out]. Bias and Gate are one row of out F32 values,
// multiplied and added to every row. Without Gate the factor is 1, without Add
// the term is 0. Add may be Y.
type Linear struct {
	X, Y Mat
	W    Weight
	Bias Mat
	Act  Func
	Gate Mat
	Add  Mat
}

// Attention computes, for each head h of Heads and each row i of Q,
//
//	O[i,h] = sum_j softmax_j(Scale * Q[i,h]·K[j,h] + RelBias[h, j-i+nq-1] + KeyBias[j]) V[j,h]
//
// Q and O are [nq, Heads*d], K and V [nk, Heads*d], head h in columns h*d to
// (h+1)*d. RelBias, optional, is F32 [Heads, nq+nk-1], an additive bias that
// depends on the distance of key and query (UMT5's relative positions).
// KeyBias, optional, is one F32 row of nk values (log n for a key that stands
// for n equal ones). Scores are never stored whole. O may be Q.
type Attention struct {
	Q, K, V, O Mat
	Heads      int
	Scale      float32
	RelBias    Mat
	KeyBias    Mat
}

// NormKind chooses the statistics of Norm.
type NormKind uint8

// The kinds of norm.
const (
	RMSNorm   NormKind = iota + 1 // n = x / sqrt(mean(x²) + Eps)
	LayerNorm                     // n = (x - mean(x)) / sqrt(var(x) + Eps)
)

// Norm computes Y = Act((n * Weight + Bias) * (1 + Scale) + Shift) for each row
// of X, where n is the normalised row. The optional Weight, Bias, Scale and Shift
// are one F32 row each.
type Norm struct {
	X, Y         Mat
	Kind         NormKind
	Eps          float32
	Weight, Bias Mat
	Scale, Shift Mat
	Act          Func
}

// Rope computes Y = rotate(X * Weight / sqrt(mean(X²) + Eps)) for each row of X.
//
// The RMS norm, over the whole row, is left out when Weight is. Within each head
// of X.Cols/Heads columns, the pair (2i, 2i+1) of row r is rotated by the angle
// whose cosine and sine stand in Cos[r, i] and Sin[r, i], F32 [rows, d/2].
type Rope struct {
	X, Y     Mat
	Heads    int
	Cos, Sin Mat
	Weight   Mat
	Eps      float32
}

// Conv is a 3D convolution over channels-last frames, causal in time.
//
// W holds the weights as checkpoints store them, one row a filter:
// [C_out, C_in*kt*kh*kw], the channel outermost. Output frame t reads the input
// frames t*StrideT-(kt-1), ..., t*StrideT, counted from X's first; the frames
// before it are Prev (in order of time, the last one is right before X; a zero
// Frames is black) and must number kt-1, or fewer for frames of zeros.
// Output pixel (i, j) reads rows i*Stride-PadH, ... of the picture and columns
// j*Stride-PadW, ..., zeros outside of it. With Upsample, the picture read is X
// enlarged twice in both directions by nearest neighbour. The sizes of Y fix how
// many outputs there are, and with them the padding at the far edges.
//
// Y = conv + Bias + Add; Bias is one F32 row of C_out values, Add has Y's shape
// and may be Y.
//
// The result of a frame does not depend on how many frames one call covers: a
// device computes every output frame by the same arithmetic in the same order.
type Conv struct {
	X          Frames
	Prev       [2]Frames // Prev[1] is the frame right before X, Prev[0] the one before it
	W          Mat
	KT, KH, KW int
	StrideT    int
	Stride     int
	PadH, PadW int
	Upsample   bool
	Bias       Mat
	Add        Frames
	Y          Frames
}

// Unary computes Y = F(X), element by element.
type Unary struct {
	X, Y Mat
	F    Func
}

// BinaryOp is a function of two elements.
type BinaryOp uint8

// The functions of Binary.
const (
	Add BinaryOp = iota + 1
	Mul
)

// Binary computes Y = Op(A, B), element by element. B may have one row, which
// then goes with every row of A.
type Binary struct {
	A, B, Y Mat
	Op      BinaryOp
}

// GatedAdd computes Y = A * (Gate + Plus) + B, element by element. Gate may have
// one row, which then goes with every row of A.
type GatedAdd struct {
	A, Gate, B, Y Mat
	Plus          float32
}

// Gather copies rows of Table: Y[i] = Table[IDs[i]]. IDs is one I32 row of
// Y.Rows values, each in range (a device may answer an out-of-range value with an
// error or with a row of zeros, never with a read outside of Table).
type Gather struct {
	Table, IDs, Y Mat
}

// Move copies X to Y and converts the elements. With Transpose, Y[j,i] = X[i,j].
type Move struct {
	X, Y      Mat
	Transpose bool
}
