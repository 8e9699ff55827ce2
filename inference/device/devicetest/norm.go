package devicetest

import (
	"fmt"
	"math"

	"gimbal/inference/device"
)

func norm(t T, s suite) {
	for _, kind := range []device.NormKind{device.RMSNorm, device.LayerNorm} {
		for _, size := range [][2]int{{1, 1}, {1, 16}, {3, 2}, {5, 33}, {70, 96}, {17, 129}, {2, 5120}, {40, 1000}, {1, 20001}} {
			s.norm(t, kind, size[0], size[1], device.F32, device.F32, 15, device.Identity, false)
		}
		for options := range 16 {
			s.norm(t, kind, 6, 39, device.F32, device.F32, options, actions[options%4], options%3 == 0)
		}
		for _, x := range floats {
			for _, y := range floats {
				s.norm(t, kind, 9, 70, x, y, 15, device.SiLU, false)
			}
		}
	}
	t.Run("far from zero", func(t T) {
		r := s.rig(t)
		x := r.matOf(device.F32, 4, 300, each(4, 300, func(int, int) float64 { return 1000 + r.rng.NormFloat64() }))
		// The mean of values near 1000 is rounded to 3e-5 of their spread.
		r.norm(device.Norm{Kind: device.LayerNorm, Eps: 1e-6}, x, r.out(device.F32, 4, 300), [4]*tensor{}, 1e-4, true)
	})
	t.Run("not a number", func(t T) {
		r := s.rig(t)
		values := r.normal(5 * 70)
		values[2*70+69] = math.NaN()
		clear(values[3*70 : 4*70]) // a row of zeros stays one
		r.norm(device.Norm{Kind: device.RMSNorm, Eps: 1e-12}, r.matOf(device.F32, 5, 70, values), r.out(device.F32, 5, 70), [4]*tensor{}, s.opts.Pointwise, true)
	})
}

// norm checks one case; options is the set of Weight, Bias, Scale and Shift.
func (s suite) norm(t T, kind device.NormKind, rows, cols int, in, out device.DType, options int, act device.Func, inPlace bool) {
	t.Run(fmt.Sprintf("%d [%d,%d] %v %v %d %d %v", kind, rows, cols, in, out, options, act, inPlace), func(t T) {
		r := s.rig(t)
		var extra [4]*tensor
		for i := range extra {
			if options>>i&1 != 0 {
				extra[i] = r.mat(device.F32, 1, cols)
			}
		}
		x := r.mat(in, rows, cols)
		y := r.overOrOut(inPlace, x, out)
		r.norm(device.Norm{Kind: kind, Eps: 0.01, Act: act}, x, y, extra, s.opts.Pointwise, in == device.F32 && out == device.F32)
	})
}

func (r *rig) norm(op device.Norm, x, y *tensor, extra [4]*tensor, bound float64, must bool) {
	r.Helper()
	op.X, op.Y = x.Mat, y.Mat
	op.Weight, op.Bias, op.Scale, op.Shift = extra[0].maybe(), extra[1].maybe(), extra[2].maybe(), extra[3].maybe()
	if !r.do(must, func(e device.Encoder) { e.Record(op) }) {
		return
	}
	var want []float64
	for i := range x.Rows {
		row := x.v[i*x.Cols : (i+1)*x.Cols]
		mean, squares := 0.0, 0.0
		if op.Kind == device.LayerNorm {
			for _, v := range row {
				mean += v / float64(x.Cols)
			}
		}
		for _, v := range row {
			squares += (v - mean) * (v - mean) / float64(x.Cols)
		}
		for j, v := range row {
			n := (v - mean) / math.Sqrt(squares+float64(op.Eps))
			n = n*extra[0].at(0, j, 1) + extra[1].at(0, j, 0)
			want = append(want, apply(op.Act, n*(1+extra[2].at(0, j, 0))+extra[3].at(0, j, 0)))
		}
	}
	r.check(y, want, bound)
}

func rope(t T, s suite) {
	for _, c := range []struct {
		rows, heads, d int
		weight         bool
		inPlace        bool
		in, out        device.DType
	}{
		{rows: 1, heads: 1, d: 2}, {rows: 1, heads: 3, d: 2, weight: true}, {rows: 5, heads: 2, d: 6, weight: true, inPlace: true},
		{rows: 33, heads: 3, d: 16}, {rows: 17, heads: 2, d: 34, weight: true}, {rows: 70, heads: 5, d: 128, weight: true, inPlace: true},
		{rows: 3, heads: 40, d: 128, weight: true}, {rows: 129, heads: 1, d: 20, inPlace: true},
		{rows: 7, heads: 2, d: 22, weight: true, in: device.BF16, out: device.BF16, inPlace: true},
		{rows: 7, heads: 2, d: 22, weight: true, in: device.F32, out: device.BF16}, {rows: 7, heads: 2, d: 22, in: device.F16, out: device.F32},
		{rows: 7, heads: 2, d: 32, weight: true, in: device.F32, out: device.F16},
	} {
		t.Run(fmt.Sprintf("%+v", c), func(t T) {
			must := c.in == 0
			if must {
				c.in, c.out = device.F32, device.F32
			}
			r := s.rig(t)
			cols := c.heads * c.d
			x, cos, sin := r.mat(c.in, c.rows, cols), r.mat(device.F32, c.rows, c.d/2), r.mat(device.F32, c.rows, c.d/2)
			var weight *tensor
			if c.weight {
				weight = r.mat(device.F32, 1, cols)
			}
			y := r.overOrOut(c.inPlace, x, c.out)
			op := device.Rope{X: x.Mat, Y: y.Mat, Heads: c.heads, Cos: cos.Mat, Sin: sin.Mat, Weight: weight.maybe(), Eps: 0.02}
			if !r.do(must, func(e device.Encoder) { e.Record(op) }) {
				return
			}
			r.check(y, each(c.rows, cols, func(i, j int) float64 {
				length := 1.0
				if c.weight {
					sum := 0.0
					for _, v := range x.v[i*cols : (i+1)*cols] {
						sum += v * v
					}
					length = math.Sqrt(sum/float64(cols) + float64(op.Eps))
				}
				pair := j % c.d / 2
				n := func(j int) float64 { return x.v[i*cols+j] / length * weight.at(0, j, 1) }
				turn := -sin.v[i*sin.Cols+pair]
				if j%2 == 1 {
					return n(j)*cos.v[i*cos.Cols+pair] - n(j-1)*turn
				}
				return n(j)*cos.v[i*cos.Cols+pair] + n(j+1)*turn
			}), s.opts.Pointwise)
		})
	}
}
