package devicetest

import (
	"fmt"
	"math"

	"gimbal/inference/device"
)

type attentionCase struct {
	nq, nk, heads, d int
	in, out          device.DType
	scale            float64
	rel, key         bool
	masked           int  // keys from the first on that KeyBias leaves out with -Inf
	inPlace          bool // O is Q
	nan              bool // one query holds a NaN
}

func attention(t T, s suite) {
	const f32 = device.F32
	for _, c := range []attentionCase{
		{nq: 1, nk: 1, heads: 1, d: 1}, {nq: 1, nk: 7, heads: 2, d: 3}, {nq: 5, nk: 1, heads: 3, d: 8},
		{nq: 17, nk: 33, heads: 2, d: 16, rel: true}, {nq: 33, nk: 17, heads: 2, d: 20, rel: true, key: true},
		{nq: 64, nk: 64, heads: 1, d: 64, key: true}, {nq: 65, nk: 129, heads: 2, d: 128, inPlace: true},
		{nq: 31, nk: 70, heads: 1, d: 384}, {nq: 12, nk: 40, heads: 1, d: 400},
		{nq: 270, nk: 1100, heads: 1, d: 10, rel: true, key: true},
		{nq: 9, nk: 1100, heads: 2, d: 12, key: true, masked: 600}, {nq: 20, nk: 45, heads: 2, d: 9, key: true, masked: 44},
		{nq: 40, nk: 80, heads: 2, d: 24, scale: 400}, {nq: 40, nk: 80, heads: 2, d: 24, scale: -0.5},
		{nq: 21, nk: 50, heads: 2, d: 32, nan: true},
	} {
		c.in, c.out = f32, f32
		s.attention(t, c, true)
	}
	for _, in := range floats { // sizes that kernels like, and queries beyond a tile
		for _, d := range []int{32, 64, 128} {
			s.attention(t, attentionCase{nq: 37, nk: 72, heads: 2, d: d, in: in, out: f32, key: true}, in == f32)
		}
		s.attention(t, attentionCase{nq: 70, nk: 8, heads: 1, d: 64, in: in, out: f32, rel: true}, in == f32)
		for _, d := range []int{20, 64, 132, 256} {
			s.on(packed).attention(t, attentionCase{nq: 37, nk: 50, heads: 2, d: d, in: in, out: f32, key: true}, in == f32)
		}
		s.on(packed).attention(t, attentionCase{nq: 150, nk: 100, heads: 2, d: 128, in: in, out: f32}, in == f32)
	}
	for _, in := range floats { // what a device may multiply as it is, with all that scores may have, and more keys than it takes at a time
		for _, c := range []attentionCase{
			{nq: 45, nk: 97, heads: 2, d: 32, rel: true, key: true}, {nq: 45, nk: 97, heads: 2, d: 64, rel: true, key: true},
			{nq: 66, nk: 161, heads: 2, d: 64, key: true, masked: 130}, {nq: 33, nk: 70, heads: 1, d: 64, nan: true},
			{nq: 70, nk: 130, heads: 2, d: 128, inPlace: true}, {nq: 30, nk: 150, heads: 1, d: 128, rel: true, scale: -0.5},
		} {
			c.in, c.out = in, in
			s.on(packed).attention(t, c, in == f32)
		}
	}
	for _, d := range []int{32, 64, 128, 256} {
		s.on(atEnd).attention(t, attentionCase{nq: 12, nk: 40, heads: 2, d: d, in: f32, out: f32}, true)
	}
	for _, in := range floats {
		for _, out := range floats {
			s.attention(t, attentionCase{nq: 19, nk: 37, heads: 3, d: 21, in: in, out: out, key: true}, in == f32 && out == f32)
		}
	}
}

func (s suite) attention(t T, c attentionCase, must bool) {
	t.Run(fmt.Sprintf("%+v", c), func(t T) {
		r := s.rig(t)
		cols := c.heads * c.d
		if c.scale == 0 {
			c.scale = 1 / math.Sqrt(float64(c.d))
		}
		c.scale = float64(float32(c.scale))
		values := r.normal(c.nq * cols)
		if c.nan {
			values[len(values)/2] = math.NaN()
		}
		q, k, v := r.matOf(c.in, c.nq, cols, values), r.mat(c.in, c.nk, cols), r.mat(c.in, c.nk, cols)
		var rel, key *tensor
		if c.rel {
			rel = r.mat(device.F32, c.heads, c.nq+c.nk-1)
		}
		if c.key {
			key = r.matOf(device.F32, 1, c.nk, each(1, c.nk, func(_, j int) float64 {
				if j < c.masked {
					return math.Inf(-1)
				}
				return r.rng.NormFloat64()
			}))
		}
		o := r.overOrOut(c.inPlace, q, c.out)
		op := device.Attention{Q: q.Mat, K: k.Mat, V: v.Mat, O: o.Mat, Heads: c.heads, Scale: float32(c.scale), RelBias: rel.maybe(), KeyBias: key.maybe()}
		if !r.do(must, func(e device.Encoder) { e.Record(op) }) {
			return
		}
		want := make([]float64, c.nq*cols)
		for h := range c.heads {
			for i := range c.nq {
				weights := softmax(c.nk, func(j int) float64 {
					dot := 0.0
					for x := h * c.d; x < (h+1)*c.d; x++ {
						dot += q.v[i*cols+x] * k.v[j*cols+x]
					}
					score := dot*c.scale + key.at(0, j, 0)
					if rel != nil {
						score += rel.v[h*rel.Cols+j-i+c.nq-1]
					}
					return score
				})
				for j, w := range weights {
					for x := h * c.d; x < (h+1)*c.d; x++ {
						want[i*cols+x] += w * v.v[j*cols+x]
					}
				}
			}
		}
		// An error of a score is one of its weight's logarithm, and scores are so many times as large as by the usual scale.
		bound := r.opts.Product * max(1, math.Abs(c.scale)*math.Sqrt(float64(c.d)))
		r.check(o, want, bound)
	})
}

// softmax returns the softmax of score(0), ..., score(n-1).
func softmax(n int, score func(int) float64) []float64 {
	w, top, sum := make([]float64, n), math.Inf(-1), 0.0
	for j := range w {
		w[j] = score(j)
		top = max(top, w[j])
	}
	for j := range w {
		w[j] = math.Exp(w[j] - top)
		sum += w[j]
	}
	for j := range w {
		w[j] /= sum
	}
	return w
}
