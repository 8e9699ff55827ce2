package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"gimbal/inference/device"
	"gimbal/inference/weights"
)

// Operation is one of a device's at a size, with random operands.
type Operation struct {
	Op    string `json:"op"` // a name of Operations
	Sizes []int  `json:"sizes"`
	// The types of inputs and of results, and how the weights of linear and conv are
	// stored: f32, f16 or bf16; weights also f8_e4m3 and, of linear, a quantised weights.Format.
	X       string `json:"x"`
	Y       string `json:"y"`
	Weights string `json:"weights,omitempty"`
}

// Operations are what an Operation can be, each with its sizes, which are those that
// device.Op's String writes.
func Operations() (list []string) {
	for _, b := range builders {
		list = append(list, b.name+" "+b.sizes)
	}
	return list
}

// Parse reads a name and sizes, such as linear and 17160x5120x13824, into o, and checks the
// types.
func (o *Operation) Parse(name, sizes string) error {
	b, err := builderOf(name)
	if err != nil {
		return err
	}
	o.Op, o.Sizes = name, nil
	for word := range strings.SplitSeq(sizes, "x") {
		n, err := strconv.Atoi(word)
		if err != nil || n < 1 {
			return fmt.Errorf("sizes %q: want %s", sizes, b.sizes)
		}
		o.Sizes = append(o.Sizes, n)
	}
	if len(o.Sizes) != strings.Count(b.sizes, "x")+1 {
		return fmt.Errorf("sizes %q: want %s", sizes, b.sizes)
	}
	_, _, err = o.types()
	return err
}

// types returns those of inputs and results.
func (o Operation) types() (x, y device.DType, err error) {
	for _, t := range []struct {
		name string
		to   *device.DType
	}{{o.X, &x}, {o.Y, &y}} {
		dtype, ok := device.ParseDType(strings.ToUpper(t.name))
		if !ok || dtype > device.BF16 {
			return 0, 0, fmt.Errorf("type %q: want f32, f16 or bf16", t.name)
		}
		*t.to = dtype
	}
	return x, y, nil
}

// Make returns the operation with operands of to's device, which to releases.
func (o Operation) Make(to *Operands) (device.Op, error) {
	b, err := builderOf(o.Op)
	if err != nil {
		return nil, err
	}
	x, y, err := o.types()
	if err != nil {
		return nil, err
	}
	op := b.make(&construction{to, o.Sizes, x, y, o.Weights})
	if to.err != nil {
		return nil, to.err
	}
	return op, op.Check()
}

// builder makes an operation of a kind.
type builder struct {
	name, sizes string
	make        func(c *construction) device.Op
}

var builders = []builder{
	{"linear", "ROWSxINxOUT", (*construction).linear},
	{"attention", "HEADSxQUERIESxKEYSxCOLUMNS", (*construction).attention},
	{"conv", "FRAMESxHEIGHTxWIDTHxINxOUT", (*construction).conv},
	{"norm", "ROWSxCOLUMNS", func(c *construction) device.Op {
		return device.Norm{X: c.input(1), Y: c.result(), Kind: device.LayerNorm, Eps: 1e-6, Scale: c.row(2), Shift: c.row(3)}
	}},
	{"rope", "ROWSxHEADSxCOLUMNS", (*construction).rope},
	{"unary", "ROWSxCOLUMNS", func(c *construction) device.Op {
		return device.Unary{X: c.input(1), Y: c.result(), F: device.SiLU}
	}},
	{"binary", "ROWSxCOLUMNS", func(c *construction) device.Op {
		return device.Binary{A: c.input(1), B: c.input(2), Y: c.result(), Op: device.Add}
	}},
	{"gated_add", "ROWSxCOLUMNS", func(c *construction) device.Op {
		return device.GatedAdd{A: c.input(1), Gate: c.row(2), B: c.input(3), Y: c.result()}
	}},
	{"gather", "ROWSxCOLUMNS", func(c *construction) device.Op { // of one row, again and again
		return device.Gather{Table: c.input(1), IDs: c.Mat(device.I32, 0, 1, c.n[0]), Y: c.result()}
	}},
	{"move", "ROWSxCOLUMNS", func(c *construction) device.Op { return device.Move{X: c.input(1), Y: c.result()} }},
	{"transpose", "ROWSxCOLUMNS", func(c *construction) device.Op {
		return device.Move{X: c.input(1), Y: c.Mat(c.y, 0, c.n[1], c.n[0]), Transpose: true}
	}},
}

func builderOf(name string) (builder, error) {
	i := slices.IndexFunc(builders, func(b builder) bool { return b.name == name })
	if i < 0 {
		return builder{}, fmt.Errorf("no operation %q: want one of %s", name, strings.Join(Operations(), ", "))
	}
	return builders[i], nil
}

// construction is an operation that is being made.
type construction struct {
	*Operands
	n       []int
	x, y    device.DType
	weights string
}

// input is a matrix of the first two sizes.
func (c *construction) input(seed uint64) device.Mat { return c.Mat(c.x, seed, c.n[0], c.n[1]) }

// result is a matrix of the first two sizes for results.
func (c *construction) result() device.Mat { return c.Mat(c.y, 0, c.n[0], c.n[1]) }

// row is a row as long as input's.
func (c *construction) row(seed uint64) device.Mat { return c.Mat(device.F32, seed, 1, c.n[1]) }

func (c *construction) linear() device.Op {
	in, out := c.n[1], c.n[2]
	l := device.Linear{X: c.input(1), Y: c.Mat(c.y, 0, c.n[0], out)}
	format := weights.Format(c.weights).OnDevice()
	if format == device.Dense {
		l.W = device.DenseWeight(c.weight(out, in))
		return l
	}
	seed := uint64(1)
	l.W = device.NewWeight(format, device.F8E4M3, out, in, func(dtype device.DType, rows, cols int) device.Mat {
		if dtype != device.F32 {
			return c.Mat(dtype, 0, rows, cols) // codes
		}
		seed++
		return c.Mat(dtype, seed, rows, cols)
	})
	return l
}

func (c *construction) attention() device.Op {
	heads, queries, keys, head := c.n[0], c.n[1], c.n[2], c.n[3]
	return device.Attention{
		Q: c.Mat(c.x, 1, queries, heads*head), K: c.Mat(c.x, 2, keys, heads*head), V: c.Mat(c.x, 3, keys, heads*head),
		O: c.Mat(c.y, 0, queries, heads*head), Heads: heads, Scale: float32(1 / math.Sqrt(float64(head))),
	}
}

// conv has filters of 3 x 3 x 3 and two frames before the first, as most of the VAE's.
func (c *construction) conv() device.Op {
	t, h, w, in, out := c.n[0], c.n[1], c.n[2], c.n[3], c.n[4]
	return device.Conv{
		X: c.Frames(c.x, 1, t, h, w, in), Y: c.Frames(c.y, 0, t, h, w, out), W: c.weight(out, 27*in),
		Prev: [2]device.Frames{c.Frames(c.x, 3, 1, h, w, in), c.Frames(c.x, 4, 1, h, w, in)},
		KT:   3, KH: 3, KW: 3, StrideT: 1, Stride: 1, PadH: 1, PadW: 1,
	}
}

func (c *construction) rope() device.Op {
	heads, head := c.n[1], c.n[2]
	return device.Rope{
		X: c.Mat(c.x, 1, c.n[0], heads*head), Y: c.Mat(c.y, 0, c.n[0], heads*head), Heads: heads, Eps: 1e-6,
		Cos: c.Mat(device.F32, 2, c.n[0], head/2), Sin: c.Mat(device.F32, 3, c.n[0], head/2), Weight: c.Mat(device.F32, 4, 1, heads*head),
	}
}

// weight is a matrix of weights that are not quantised.
func (c *construction) weight(rows, cols int) device.Mat {
	dtype, ok := device.ParseDType(strings.ToUpper(c.weights))
	if !ok && c.err == nil {
		c.err = fmt.Errorf("weights %q: want f32, f16, bf16 or f8_e4m3, for linear also a quantised format such as int8, nf4, fp8 or q4_k", c.weights)
	}
	seed := uint64(2)
	if dtype == device.F8E4M3 {
		seed = 0 // no device writes them
	}
	return c.Mat(dtype, seed, rows, cols)
}

// Operands makes buffers of a device, of normal values. The first error sticks.
type Operands struct {
	ctx     context.Context
	dev     device.Device
	buffers []device.Buffer
	err     error
}

// NewOperands returns what makes operands on dev; call Release.
func NewOperands(ctx context.Context, dev device.Device) *Operands {
	return &Operands{ctx: ctx, dev: dev}
}

// Release releases all operands.
func (o *Operands) Release() {
	for _, b := range o.buffers {
		b.Release()
	}
}

// Err returns the first error.
func (o *Operands) Err() error { return o.err }

// Mat returns a matrix of normal values, rounded to a type, or of zeros for a seed of 0.
func (o *Operands) Mat(dtype device.DType, seed uint64, rows, cols int) (m device.Mat) {
	if b := o.alloc(dtype, seed, rows, cols); b != nil {
		m = device.AsMat(b)
	}
	return m
}

// Frames is Mat for frames.
func (o *Operands) Frames(dtype device.DType, seed uint64, t, h, w, c int) (f device.Frames) {
	if b := o.alloc(dtype, seed, t, h, w, c); b != nil {
		f = device.AsFrames(b)
	}
	return f
}

func (o *Operands) alloc(dtype device.DType, seed uint64, shape ...int) device.Buffer {
	if o.err != nil {
		return nil
	}
	b, err := o.dev.Alloc(device.Desc{Label: "operand", DType: dtype, Shape: shape})
	if o.err = err; err != nil {
		return nil
	}
	o.buffers = append(o.buffers, b)
	if seed > 0 {
		o.err = o.fill(b, Normals(seed, b.Desc().Len()))
	}
	return b
}

// fill writes values to b, in its type.
func (o *Operands) fill(b device.Buffer, values []float32) error {
	if b.Desc().DType == device.F32 {
		return o.dev.Write(o.ctx, b, device.Bytes(values))
	}
	wide, err := o.dev.Alloc(device.Desc{Label: "wide operand", DType: device.F32, Shape: b.Desc().Shape})
	if err != nil {
		return err
	}
	defer wide.Release()
	return errors.Join(
		o.dev.Write(o.ctx, wide, device.Bytes(values)),
		o.dev.Do(o.ctx, "narrow", func(e device.Encoder) { e.Record(device.Move{X: device.AsMat(wide), Y: device.AsMat(b)}) }))
}

// period is how many normal values are drawn before they are repeated: an odd number, so
// that no row of a matrix is like the one above it.
const period = 1<<18 + 1

// Normals returns n normal values, the same ones for a seed.
func Normals(seed uint64, n int) []float32 {
	values := make([]float32, n)
	random := rand.New(rand.NewPCG(seed, 7))
	for i := range values[:min(n, period)] {
		values[i] = float32(random.NormFloat64())
	}
	for done := period; done < n; done *= 2 {
		copy(values[done:], values[:done])
	}
	return values
}
