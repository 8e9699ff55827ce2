package devicetest

import (
	"fmt"
	"math"

	"gimbal/inference/device"
)

func gather(t T, s suite) {
	for _, c := range []struct {
		rows, cols, n int
		table, out    device.DType
	}{
		{1, 1, 1, device.F32, device.F32}, {7, 33, 20, device.F32, device.F32}, {300, 64, 129, device.F32, device.F32},
		{50, 40, 70, device.BF16, device.F32}, {50, 41, 3, device.F16, device.F32}, {50, 41, 9, device.BF16, device.BF16},
		{50, 41, 9, device.F32, device.BF16}, {50, 41, 9, device.F8E4M3, device.F32},
	} {
		t.Run(fmt.Sprintf("%+v", c), func(t T) {
			r := s.rig(t)
			table, y := r.mat(c.table, c.rows, c.cols), r.out(c.out, c.n, c.cols)
			ids := r.matOf(device.I32, 1, c.n, each(1, c.n, func(_, i int) float64 {
				return []float64{float64(c.rows - 1), 0, float64(r.rng.IntN(c.rows))}[min(i, 2)]
			}))
			if !r.do(c.table != device.F8E4M3 && c.out == device.F32, func(e device.Encoder) {
				e.Record(device.Gather{Table: table.Mat, IDs: ids.Mat, Y: y.Mat})
			}) {
				return
			}
			r.check(y, each(c.n, c.cols, func(i, j int) float64 { return table.v[int(ids.v[i])*c.cols+j] }), 0)
		})
	}
	for _, id := range []float64{-1, 5, math.MaxInt32, math.MinInt32} {
		t.Run(fmt.Sprintf("no such row %v", id), func(t T) {
			r := s.rig(t)
			table, y, ids := r.mat(device.F32, 5, 8), r.out(device.F32, 2, 8), r.matOf(device.I32, 1, 2, []float64{2, id})
			err := r.dev.Do(t.Context(), "devicetest", func(e device.Encoder) {
				e.Record(device.Gather{Table: table.Mat, IDs: ids.Mat, Y: y.Mat})
			})
			r.checkGuards()
			for _, v := range y.v[8:] {
				if err == nil && v != 0 {
					t.Fatalf("row of ID %v is %v, want an error or zeros", id, y.v[8:])
				}
			}
		})
	}
}

func move(t T, s suite) {
	types := []device.DType{device.F32, device.F16, device.BF16, device.F8E4M3, device.I8, device.U8, device.I32, device.I64}
	for _, size := range sizes {
		for _, transpose := range []bool{false, true} {
			s.move(t, size, device.F32, device.F32, transpose, false)
			s.move(t, size, device.F32, device.BF16, transpose, false)
			s.move(t, size, device.BF16, device.F32, transpose, false)
		}
	}
	for _, transpose := range []bool{false, true} {
		for _, x := range types {
			s.move(t, [2]int{37, 150}, x, x, transpose, false)
			for _, y := range floats {
				if x < device.I8 && x != y {
					s.move(t, [2]int{150, 37}, x, y, transpose, false)
				}
			}
		}
	}
	s.move(t, [2]int{5, 9}, device.F32, device.F32, false, true)
	s.on(atEnd).move(t, [2]int{40, 48}, device.F32, device.F32, true, false)
	t.Run("every F16", func(t T) { s.everyCode(t, device.F16, 1<<16) })
	t.Run("every BF16", func(t T) { s.everyCode(t, device.BF16, 1<<16) })
	t.Run("every F8_E4M3", func(t T) { s.everyCode(t, device.F8E4M3, 1<<8) })
	t.Run("rounding", s.rounding)
}

func (s suite) move(t T, size [2]int, in, out device.DType, transpose, inPlace bool) {
	t.Run(fmt.Sprintf("%v %v %v %v %v", size, in, out, transpose, inPlace), func(t T) {
		r := s.rig(t)
		rows, cols := size[0], size[1]
		x := r.matOf(in, rows, cols, each(rows, cols, func(int, int) float64 {
			if in >= device.I8 {
				return float64(r.rng.IntN(100))
			}
			return r.rng.NormFloat64()
		}))
		var y *tensor
		switch {
		case inPlace:
			y = r.over(x)
		case transpose:
			y = r.out(out, cols, rows)
		default:
			y = r.out(out, rows, cols)
		}
		must := in == device.F32 && out == device.F32 || in == device.BF16 && out == device.F32 || in == device.F16 && out == device.F32
		if !r.do(must, func(e device.Encoder) { e.Record(device.Move{X: x.Mat, Y: y.Mat, Transpose: transpose}) }) {
			return
		}
		r.check(y, each(y.Rows, y.Cols, func(i, j int) float64 {
			if transpose {
				i, j = j, i
			}
			return x.v[i*cols+j]
		}), 0)
	})
}

// everyCode widens every code of a type, sub-normals, infinities and NaN included.
func (s suite) everyCode(t T, in device.DType, n int) {
	r := s.rig(t)
	x := &tensor{Mat: device.Mat{DType: in, Rows: 1, Cols: n, Stride: n}}
	x.fill(nil, n)
	for i := range n {
		x.raw[i*in.Size()] = byte(i)
		if in.Size() == 2 {
			x.raw[2*i+1] = byte(i >> 8)
		}
	}
	r.upload(x)
	y := r.out(device.F32, 1, n)
	if !r.do(in != device.F8E4M3, func(e device.Encoder) { e.Record(device.Move{X: x.Mat, Y: y.Mat}) }) {
		return
	}
	for i := range n {
		want := decode(in, x.raw[i*in.Size():])
		if math.Abs(want) < 0x1p-126 {
			continue // sub-normal in F32: a device may give zero
		}
		if got := y.v[i]; got != want && !(math.IsNaN(got) && math.IsNaN(want)) {
			t.Fatalf("%v %#x is %v, want %v", in, i, got, want)
		}
	}
}

// rounding narrows values at, just below and just above half way between two
// codes, and at the ends of the range.
func (s suite) rounding(t T) {
	for _, out := range []device.DType{device.F16, device.BF16} {
		r := s.rig(t)
		values := []float64{0, 1e30, -1e30, 3.5e38, 65504, 65519, 65520, 65536, 1e-3, math.Inf(1), math.Inf(-1), math.NaN(), float64(math.Float32frombits(0x7fffffff)), 6e-5, 3e-6, 1e-7, 2.9e-8}
		for range 2000 {
			code := make([]byte, 2)
			encode(out, code, math.Ldexp(r.rng.NormFloat64(), r.rng.IntN(26)-13))
			low := decode(out, code)
			code[0] |= 1
			high := decode(out, code)
			half := float32(low + (high-low)/2)
			values = append(values, low, float64(half), float64(math.Nextafter32(half, 1e30)), float64(math.Nextafter32(half, -1e30)))
		}
		x, y := r.matOf(device.F32, 1, len(values), values), r.out(out, 1, len(values))
		if !r.do(false, func(e device.Encoder) { e.Record(device.Move{X: x.Mat, Y: y.Mat}) }) {
			continue
		}
		code := make([]byte, 2)
		for i, v := range x.v {
			encode(out, code, v)
			want := decode(out, code)
			if got := y.v[i]; got != want && !(math.IsNaN(got) && math.IsNaN(want)) {
				t.Fatalf("%v as %v is %v, want %v", v, out, got, want)
			}
		}
	}
}
