package devicetest

import (
	"bytes"
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"

	"gimbal/inference/device"
)

// rig holds the operands of one comparison.
type rig struct {
	T
	suite
	rng     *rand.Rand
	tensors []*tensor
}

// tensor is an operand: a view into a buffer, and the values in it.
type tensor struct {
	device.Mat
	v    []float64 // rows x cols, without gaps, as rounded to the type
	raw  []byte    // the whole buffer
	free bool      // the operation may write the view
}

// guard fills what no operation may read or write: NaN in every float type.
const guard = 0xff

func (s suite) rig(t T) *rig {
	r := &rig{T: t, suite: s, rng: rand.New(rand.NewPCG(7, 11))}
	t.Cleanup(func() {
		for _, x := range r.tensors {
			x.Buf.Release()
		}
	})
	return r
}

// layout is where the elements of operands lie.
type layout int

const (
	mixed  layout = iota // each at random in one of the others
	gaps                 // at an offset, with gaps after the rows
	packed               // where their buffers begin: a device may read several at a time
	atEnd                // up to the end of a page, after which may be memory that is not the device's
)

// pageSize is that of the system with the largest pages.
const pageSize = 16 << 10

// on is the suite on operands of one layout.
func (s suite) on(l layout) suite {
	s.layout = l
	return s
}

// normal returns n values of a normal distribution.
func (r *rig) normal(n int) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = r.rng.NormFloat64()
	}
	return v
}

// mat returns a matrix of random values.
func (r *rig) mat(t device.DType, rows, cols int) *tensor {
	return r.matOf(t, rows, cols, r.normal(rows*cols))
}

// out returns a matrix for results, of guard values.
func (r *rig) out(t device.DType, rows, cols int) *tensor {
	x := r.matOf(t, rows, cols, nil)
	x.free = true
	return x
}

// matOf returns a matrix of values.
func (r *rig) matOf(t device.DType, rows, cols int, v []float64) *tensor {
	r.Helper()
	x := &tensor{Mat: device.Mat{DType: t, Rows: rows, Cols: cols, Stride: cols}}
	l := r.layout
	if l == mixed {
		l = layout(1 + r.rng.IntN(3))
	}
	size := rows * cols
	switch l {
	case gaps:
		x.Offset, x.Stride = 1+r.rng.IntN(9), cols+r.rng.IntN(6)
		size = x.Offset + rows*x.Stride + 1 + r.rng.IntN(5) // at least one element after the last row that nobody may touch
	case packed:
		size += 1 + r.rng.IntN(5)
	case atEnd:
		page := pageSize / t.Size()
		size = (size + page - 1) / page * page
		x.Offset = size - rows*cols
	}
	x.fill(v, size)
	r.upload(x)
	return x
}

// over returns results that take the place of x, which keeps its values.
func (r *rig) over(x *tensor) *tensor {
	y := *x
	y.free = true
	r.tensors[slices.Index(r.tensors, x)] = &y
	return &y
}

// overOrOut is over for a case in place, and out otherwise.
func (r *rig) overOrOut(inPlace bool, x *tensor, t device.DType) *tensor {
	if inPlace {
		return r.over(x)
	}
	return r.out(t, x.Rows, x.Cols)
}

// fill lays v out in a buffer of n elements.
func (x *tensor) fill(v []float64, n int) {
	size := x.DType.Size()
	x.raw = bytes.Repeat([]byte{guard}, n*size)
	x.v = make([]float64, len(v))
	for i := range v {
		at := x.raw[(x.Offset+i/x.Cols*x.Stride+i%x.Cols)*size:]
		encode(x.DType, at, v[i])
		x.v[i] = decode(x.DType, at)
	}
}

func (r *rig) upload(x *tensor) {
	r.Helper()
	var err error
	desc := device.Desc{Label: "devicetest", DType: x.DType, Shape: []int{len(x.raw) / x.DType.Size()}}
	if x.Buf, err = r.dev.Alloc(desc); err != nil {
		r.Fatal(err)
	}
	r.tensors = append(r.tensors, x)
	if err := r.dev.Write(context.Background(), x.Buf, x.raw); err != nil {
		r.Fatal(err)
	}
}

// do runs f and reports whether the device has what it needs: where must is
// false it may be without.
func (r *rig) do(must bool, f func(device.Encoder)) bool {
	r.Helper()
	err := r.dev.Do(context.Background(), "devicetest", f)
	if errors.Is(err, device.ErrUnsupported) && !must {
		r.Log(err)
		return false
	}
	if err != nil {
		r.Fatal(err)
	}
	r.checkGuards()
	return true
}

// checkGuards checks that nothing outside of the results has changed, and reads
// the results.
func (r *rig) checkGuards() {
	r.Helper()
	for k, x := range r.tensors {
		now := make([]byte, len(x.raw))
		if err := r.dev.Read(context.Background(), now, x.Buf); err != nil {
			r.Fatal(err)
		}
		size := x.DType.Size()
		if x.free {
			x.v = make([]float64, x.Rows*x.Cols)
			for i := range x.v {
				at := (x.Offset + i/x.Cols*x.Stride + i%x.Cols) * size
				x.v[i] = decode(x.DType, now[at:])
				copy(x.raw[at:at+size], now[at:])
			}
		}
		if i := mismatch(now, x.raw); i >= 0 {
			r.Fatalf("operand %d, %v [%d, %d] at %d by %d: element %d was written", k, x.DType, x.Rows, x.Cols, x.Offset, x.Stride, i/size)
		}
	}
}

func mismatch(a, b []byte) int {
	if bytes.Equal(a, b) {
		return -1
	}
	for i := range a {
		if a[i] != b[i] {
			return i
		}
	}
	return -1
}

// check compares results with what they should be.
func (r *rig) check(got *tensor, want []float64, bound float64) {
	r.Helper()
	if len(got.v) != len(want) {
		r.Fatalf("%d results, want %d", len(got.v), len(want))
	}
	var squares, n float64
	for _, w := range want {
		if !math.IsNaN(w) && !math.IsInf(w, 0) {
			squares += w * w
			n++
		}
	}
	rms := math.Sqrt(squares / max(n, 1))
	bad, worst, at := 0, 0.0, 0
	for i, w := range want {
		g := got.v[i]
		if w == g || math.IsNaN(w) && math.IsNaN(g) {
			continue
		}
		excess := math.Abs(g-w) / (bound*(rms+math.Abs(w)) + 1.01*epsilon(got.DType)*math.Abs(w) + 1e-37)
		if !(excess <= 1) {
			bad++
			if bad == 1 {
				at = i
			}
		}
		worst = max(worst, excess)
	}
	if bad > 0 {
		r.Errorf("%d of %d results off, by up to %.3g of what is allowed; the first is [%d, %d]: %v, want %v",
			bad, len(want), worst, at/got.Cols, at%got.Cols, got.v[at], want[at])
	}
}

// each calls f for every element of a matrix and returns what it gives.
func each(rows, cols int, f func(i, j int) float64) []float64 {
	v := make([]float64, 0, rows*cols)
	for i := range rows {
		for j := range cols {
			v = append(v, f(i, j))
		}
	}
	return v
}

// at is element (i, j), that of the only row for every i where there is one, or
// def where there is no tensor.
func (x *tensor) at(i, j int, def float64) float64 {
	if x == nil {
		return def
	}
	if x.Rows == 1 {
		i = 0
	}
	return x.v[i*x.Cols+j]
}

// maybe is the tensor's matrix, or none.
func (x *tensor) maybe() device.Mat {
	if x == nil {
		return device.Mat{}
	}
	return x.Mat
}

// apply is device.Func in float64.
func apply(f device.Func, x float64) float64 {
	switch f {
	case device.SiLU:
		return x / (1 + math.Exp(-x))
	case device.GELU:
		return x / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
	case device.Clamp1:
		return max(-1, min(1, x)) // Go's min and max keep NaN
	case device.ReLU:
		return max(0, x)
	}
	return x
}

var (
	floats  = []device.DType{device.F32, device.F16, device.BF16}
	actions = []device.Func{device.Identity, device.SiLU, device.GELU, device.Clamp1, device.ReLU}
)
