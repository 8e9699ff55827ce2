package devicetest

import (
	"fmt"

	"gimbal/inference/device"
)

// linearCase is one Linear: sizes, types, and which optional operands it has.
type linearCase struct {
	m, n, k         int
	x, w, y         device.DType
	act             device.Func
	bias, gate, add bool
	inPlace         bool // Add is Y
}

func linear(t T, s suite) {
	const f32 = device.F32
	cases := []linearCase{
		{m: 1, n: 1, k: 1}, {m: 1, n: 3, k: 2}, {m: 1, n: 65, k: 130}, {m: 2, n: 17, k: 64}, {m: 7, n: 9, k: 31},
		{m: 8, n: 8, k: 8}, {m: 9, n: 130, k: 33}, {m: 33, n: 1, k: 257}, {m: 64, n: 64, k: 64}, {m: 65, n: 63, k: 129},
		{m: 4, n: 70, k: 66}, {m: 130, n: 67, k: 1}, {m: 1040, n: 530, k: 19}, {m: 150, n: 1100, k: 40}, {m: 3, n: 700, k: 300},
	}
	for _, c := range cases {
		c.x, c.w, c.y = f32, f32, f32
		s.linear(t, c)
	}
	for _, dt := range floats { // sizes that kernels like, and rows and columns beyond a tile
		for _, k := range []int{40, 104, 64} {
			s.linear(t, linearCase{m: 136, n: 72, k: k, x: dt, w: dt, y: f32, act: device.SiLU, bias: k != 40, add: true})
		}
		s.on(packed).linear(t, linearCase{m: 72, n: 88, k: 104, x: dt, w: dt, y: f32, gate: true, inPlace: true})
		s.on(packed).linear(t, linearCase{m: 150, n: 136, k: 96, x: dt, w: dt, y: f32, bias: true})
	}
	s.on(packed).linear(t, linearCase{m: 72, n: 88, k: 104, x: f32, w: device.F8E4M3, y: f32})
	s.on(packed).linear(t, linearCase{m: 64, n: 1100, k: 8, x: f32, w: f32, y: f32, inPlace: true})
	for _, m := range []int{3, 12, 24} {
		for _, k := range []int{40, 41} {
			s.on(atEnd).linear(t, linearCase{m: m, n: 24, k: k, x: f32, w: f32, y: f32})
		}
	}
	for i, act := range actions {
		for options := range 16 {
			s.linear(t, linearCase{m: 5 + 30*(i%2), n: 37, k: 41, x: f32, w: f32, y: f32, act: act,
				bias: options&1 != 0, gate: options&2 != 0, add: options&4 != 0, inPlace: options&8 != 0})
		}
	}
	for _, m := range []int{1, 7, 70} {
		for _, w := range []device.DType{device.F32, device.F16, device.BF16, device.F8E4M3} {
			for _, x := range floats {
				for _, y := range floats {
					s.linear(t, linearCase{m: m, n: 21, k: 67, x: x, w: w, y: y, bias: true, inPlace: true})
				}
			}
		}
	}
}

// must says whether a device has to take the case's types.
func (c linearCase) must() bool {
	return c.x == device.F32 && c.y == device.F32 && c.w != device.F8E4M3
}

func (s suite) linear(t T, c linearCase) {
	t.Run(fmt.Sprintf("%+v", c), func(t T) {
		r := s.rig(t)
		r.linear(c, r.mat(c.w, c.n, c.k), func(w *tensor) device.Weight { return device.DenseWeight(w.Mat) }, c.must())
	})
}

// linear runs c with the weight that view makes of w, whose values are the weights.
func (r *rig) linear(c linearCase, w *tensor, view func(*tensor) device.Weight, must bool) {
	r.Helper()
	x := r.mat(c.x, c.m, c.k)
	var bias, gate, add *tensor
	if c.bias {
		bias = r.mat(device.F32, 1, c.n)
	}
	if c.gate {
		gate = r.mat(device.F32, 1, c.n)
	}
	if c.add {
		add = r.mat(device.F32, c.m, c.n)
	}
	var y *tensor
	if c.inPlace {
		add = r.mat(c.y, c.m, c.n)
		y = r.over(add)
	} else {
		y = r.out(c.y, c.m, c.n)
	}
	op := device.Linear{X: x.Mat, Y: y.Mat, W: view(w), Bias: bias.maybe(), Act: c.act, Gate: gate.maybe(), Add: add.maybe()}
	if !r.do(must, func(e device.Encoder) { e.Record(op) }) {
		return
	}
	r.check(y, each(c.m, c.n, func(i, o int) float64 {
		sum := 0.0
		for k := range c.k {
			sum += x.v[i*c.k+k] * w.v[o*c.k+k]
		}
		return add.row(i, o) + gate.at(i, o, 1)*apply(c.act, sum+bias.at(i, o, 0))
	}), r.opts.Product)
}

// row is at for an operand that has all rows, 0 where there is none.
func (x *tensor) row(i, j int) float64 {
	if x == nil {
		return 0
	}
	return x.v[i*x.Cols+j]
}
