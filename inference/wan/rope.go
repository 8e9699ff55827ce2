package wan

import "math"

// maxPositions is the length of the model's rotary tables along each axis: the
// largest number of patches in a latent's time, height or width.
const maxPositions = 1024

// ropeTables returns the cosines and sines, each [f*h*w, headDim/2], by which the
// pairs of a head's channels are turned: the first pairs by the token's frame, then
// a third each by its row and its column. Pair i of the n that an axis owns turns
// by position * 10000^(-i/n) (RoFormer, arXiv:2104.09864, section 3.4.2).
func ropeTables(f, h, w, headDim int) (cos, sin []float32) {
	pairs := headDim / 2
	third := pairs / 3
	frames := axisTable(f, pairs-2*third)
	rows := axisTable(h, third)
	cols := axisTable(w, third)

	cos = make([]float32, 0, f*h*w*pairs)
	sin = make([]float32, 0, f*h*w*pairs)
	for t := range f {
		for y := range h {
			for x := range w {
				for _, angles := range [][]float64{frames[t], rows[y], cols[x]} {
					for _, a := range angles {
						s, c := math.Sincos(a)
						cos = append(cos, float32(c))
						sin = append(sin, float32(s))
					}
				}
			}
		}
	}
	return cos, sin
}

// axisTable returns the n angles of each of the positions along an axis.
func axisTable(positions, n int) [][]float64 {
	table := make([][]float64, positions)
	for p := range table {
		table[p] = make([]float64, n)
		for i := range n {
			table[p][i] = float64(p) * math.Pow(10000, -float64(i)/float64(n))
		}
	}
	return table
}
