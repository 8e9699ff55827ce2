package devicetest

import (
	"fmt"
	"math"

	"gimbal/inference/device"
)

var sizes = [][2]int{{1, 1}, {1, 3}, {3, 1}, {5, 17}, {33, 64}, {70, 131}, {2, 20001}, {700, 50}}

func unary(t T, s suite) {
	for _, f := range actions {
		for i, size := range sizes {
			s.unary(t, f, size, device.F32, device.F32, i%2 == 1)
		}
		for _, x := range floats {
			for _, y := range floats {
				s.unary(t, f, [2]int{7, 37}, x, y, false)
			}
		}
		t.Run(fmt.Sprintf("%d of the ends", f), func(t T) {
			r := s.rig(t)
			values := []float64{0, 1e-30, -1e-30, 1e-6, -1e-6, 1, -1, 1.0000001, -1.0000001, 20, -20, 85, -85, 95, -95, 1e4, -1e4, math.Inf(1), math.NaN()}
			for _, v := range values { // one by one: the bound is relative to the result
				x, y := r.matOf(device.F32, 1, 1, []float64{v}), r.out(device.F32, 1, 1)
				r.do(true, func(e device.Encoder) { e.Record(device.Unary{X: x.Mat, Y: y.Mat, F: f}) })
				want := apply(f, x.v[0])
				bound := s.opts.Pointwise
				if f == device.GELU || f == device.SiLU { // the exponent's own rounding
					bound *= max(1, math.Abs(v)*4)
				}
				if math.Abs(want) < 1e-30 && v < 0 {
					want, bound = 0, 0
					if math.Abs(y.v[0]) < 1e-28 {
						y.v[0] = 0
					}
				}
				r.check(y, []float64{want}, bound)
			}
		})
	}
}

func (s suite) unary(t T, f device.Func, size [2]int, in, out device.DType, inPlace bool) {
	t.Run(fmt.Sprintf("%d %v %v %v %v", f, size, in, out, inPlace), func(t T) {
		r := s.rig(t)
		x := r.mat(in, size[0], size[1])
		y := r.overOrOut(inPlace, x, out)
		if !r.do(in == device.F32 && out == device.F32, func(e device.Encoder) { e.Record(device.Unary{X: x.Mat, Y: y.Mat, F: f}) }) {
			return
		}
		r.check(y, each(size[0], size[1], func(i, j int) float64 { return apply(f, x.at(i, j, 0)) }), s.opts.Pointwise)
	})
}

func binaryOps(t T, s suite) {
	for _, op := range []device.BinaryOp{device.Add, device.Mul} {
		for _, size := range sizes {
			for place := range 3 {
				s.binary(t, op, size, size[0], [3]device.DType{device.F32, device.F32, device.F32}, place)
			}
			s.binary(t, op, size, 1, [3]device.DType{device.F32, device.F32, device.F32}, 0)
		}
		for _, a := range floats {
			for _, b := range floats {
				for _, y := range floats {
					s.binary(t, op, [2]int{5, 19}, 5, [3]device.DType{a, b, y}, 0)
				}
			}
		}
	}
}

// binary checks one case; place says which operand, if any, Y takes the place of.
func (s suite) binary(t T, op device.BinaryOp, size [2]int, rows int, types [3]device.DType, place int) {
	t.Run(fmt.Sprintf("%d %v %d %v %d", op, size, rows, types, place), func(t T) {
		r := s.rig(t)
		a, b := r.mat(types[0], size[0], size[1]), r.mat(types[1], rows, size[1])
		y := r.overOrOut(place > 0, []*tensor{a, a, b}[place], types[2])
		if !r.do(allF32(types[:]), func(e device.Encoder) { e.Record(device.Binary{A: a.Mat, B: b.Mat, Y: y.Mat, Op: op}) }) {
			return
		}
		r.check(y, each(size[0], size[1], func(i, j int) float64 {
			if op == device.Add {
				return a.at(i, j, 0) + b.at(i, j, 0)
			}
			return a.at(i, j, 0) * b.at(i, j, 0)
		}), s.opts.Pointwise)
	})
}

func gatedAdd(t T, s suite) {
	four := [4]device.DType{device.F32, device.F32, device.F32, device.F32}
	for _, size := range sizes {
		for place := range 4 {
			s.gatedAdd(t, size, size[0], four, place)
		}
		s.gatedAdd(t, size, 1, four, 3)
	}
	for _, a := range floats {
		for _, y := range floats {
			s.gatedAdd(t, [2]int{5, 19}, 1, [4]device.DType{a, device.F32, y, y}, 0)
		}
	}
}

func (s suite) gatedAdd(t T, size [2]int, rows int, types [4]device.DType, place int) {
	t.Run(fmt.Sprintf("%v %d %v %d", size, rows, types, place), func(t T) {
		r := s.rig(t)
		a, g, b := r.mat(types[0], size[0], size[1]), r.mat(types[1], rows, size[1]), r.mat(types[2], size[0], size[1])
		y := r.overOrOut(place > 0, []*tensor{a, a, g, b}[place], types[3])
		op := device.GatedAdd{A: a.Mat, Gate: g.Mat, B: b.Mat, Y: y.Mat, Plus: 0.75}
		if !r.do(allF32(types[:]), func(e device.Encoder) { e.Record(op) }) {
			return
		}
		r.check(y, each(size[0], size[1], func(i, j int) float64 { return a.at(i, j, 0)*(g.at(i, j, 0)+0.75) + b.at(i, j, 0) }), s.opts.Pointwise)
	})
}

func allF32(types []device.DType) bool {
	for _, t := range types {
		if t != device.F32 {
			return false
		}
	}
	return true
}
