package wan

import "math"

// maxPositions is the length of the model's rotary tables along each axis: the
// largest number of patches in a latent's time, height or width.
const maxPositions = 1024

// ropeTable fills table, [f*h*w, headDim/2], with the cosines or sines (of) of the angles
// by which the pairs of a head's channels are rotated: the first pairs by the token's frame, then
// a third each by its row and its column. Pair i of the n that an axis owns
// rotates by position * 10000^(-i/n) (RoFormer, arXiv:2104.09864, section 3.4.2).
func ropeTable(table []float32, f, h, w, headDim int, of func(float64) float64) {
	pairs := headDim / 2
	third := pairs / 3
	frames := axisTable(f, pairs-2*third, of)
	rows := axisTable(h, third, of)
	cols := axisTable(w, third, of)

	for t := range f {
		for y := range h {
			for x := range w {
				for _, values := range [][]float32{frames[t], rows[y], cols[x]} {
					table = table[copy(table, values):]
				}
			}
		}
	}
}

// axisTable returns the n values of each of the positions along an axis.
func axisTable(positions, n int, of func(float64) float64) [][]float32 {
	table := make([][]float32, positions)
	for p := range table {
		table[p] = make([]float32, n)
		for i := range n {
			table[p][i] = float32(of(float64(p) * math.Pow(10000, -float64(i)/float64(n))))
		}
	}
	return table
}
