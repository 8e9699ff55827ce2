package wan

import (
	"context"
	"math"

	"gimbal/inference/device"
)

// maxPositions is the length of the reference's rotary tables along each axis: the largest
// number of patches in a latent's time, height or width. A causal session's frames go on.
const maxPositions = 1024

// fillRope writes the angles of the session's tokens, whose first frame is number first of the
// video.
func (s *Session) fillRope(ctx context.Context, first int) error {
	d := s.m.Config.Dim / s.m.Config.NumHeads
	for _, t := range []struct {
		table device.Mat
		of    func(float64) float64
	}{{s.cos, math.Cos}, {s.sin, math.Sin}} {
		err := device.Fill(ctx, s.m.dev, t.table.Buf, func(table []float32) {
			ropeTable(table, first, s.grid.f, s.grid.h, s.grid.w, d, t.of)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// ropeTable fills table, [f*h*w, headDim/2], with the cosines or sines (of) of the angles
// by which the pairs of a head's channels are rotated: the first pairs by the token's frame,
// first and on, then a third each by its row and its column. Pair i of the n that an axis owns
// rotates by position * 10000^(-i/n) (RoFormer, arXiv:2104.09864, section 3.4.2).
func ropeTable(table []float32, first, f, h, w, headDim int, of func(float64) float64) {
	pairs := headDim / 2
	third := pairs / 3
	frames := axisTable(first, f, pairs-2*third, of)
	rows := axisTable(0, h, third, of)
	cols := axisTable(0, w, third, of)

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

// axisTable returns the n values of each of the positions along an axis, from first on.
func axisTable(first, positions, n int, of func(float64) float64) [][]float32 {
	table := make([][]float32, positions)
	for p := range table {
		table[p] = make([]float32, n)
		for i := range n {
			table[p][i] = float32(of(float64(first+p) * math.Pow(10000, -float64(i)/float64(n))))
		}
	}
	return table
}
