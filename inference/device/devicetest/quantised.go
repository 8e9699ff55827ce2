package devicetest

import (
	"gimbal/inference/device"
	"gimbal/inference/weights"
)

// nf4 is the code of NormalFloat4: quantiles of the normal distribution, scaled to
// [-1, 1] (Dettmers et al., QLoRA, 2023).
var nf4 = []float64{
	-1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453,
	-0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0,
	0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
	0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1,
}

func quantised(t T, s suite) {
	const f32 = device.F32
	for _, c := range []linearCase{
		{m: 1, n: 2, k: 2}, {m: 1, n: 70, k: 130}, {m: 3, n: 10, k: 7}, {m: 9, n: 64, k: 64, bias: true},
		{m: 40, n: 66, k: 193, act: device.GELU, gate: true, inPlace: true}, {m: 20, n: 600, k: 96, bias: true, add: true},
		{m: 140, n: 30, k: 257, act: device.SiLU}, {m: 1, n: 700, k: 602}, {m: 72, n: 136, k: 96, bias: true, add: true},
		{m: 72, n: 136, k: 96, x: device.F16}, {m: 72, n: 136, k: 96, x: device.BF16},
	} {
		c.y = f32
		if c.x == 0 {
			c.x = f32
		}
		t.Run("I8", func(t T) { s.rig(t).int8(c) })
		for _, dtype := range []device.DType{device.F8E4M3, device.F8E5M2} {
			t.Run("scaled "+dtype.String(), func(t T) { s.rig(t).fp8(c, dtype) })
		}
		for _, block := range []int{64, 16, 6} {
			t.Run("NF4", func(t T) { s.rig(t).nf4(c, block, 0) })
			t.Run("NF4 nested", func(t T) { s.rig(t).nf4(c, block, 3+block/4) })
		}
		if c.k%4 == 0 {
			t.Run("packed I8", func(t T) { s.on(packed).rig(t).int8(c) })
			t.Run("packed NF4", func(t T) { s.on(packed).rig(t).nf4(c, 64, 0) })
			t.Run("packed NF4 nested", func(t T) { s.on(packed).rig(t).nf4(c, 64, 19) })
		}
	}
	for i, f := range device.BlockFormats() {
		values, _ := f.Block()
		for _, c := range []linearCase{
			{m: 1, n: 9, k: values}, {m: 3, n: 70, k: 2 * values, bias: true}, {m: 40, n: 66, k: 3 * values, act: device.GELU, gate: true, inPlace: true},
			{m: 12, n: 24, k: (2048/values + 1) * values, add: true}, {m: 72, n: 136, k: 2 * values, x: floats[i%len(floats)]},
		} {
			c.y = f32
			if c.x == 0 {
				c.x = f32
			}
			t.Run(f.String(), func(t T) { s.rig(t).blocks(c, f) })
		}
		t.Run("packed "+f.String(), func(t T) {
			s.on(packed).rig(t).blocks(linearCase{m: 72, n: 24, k: 2 * values, x: f32, y: f32}, f)
		})
		t.Run(f.String()+" at the end", func(t T) { s.on(atEnd).rig(t).blocks(linearCase{m: 12, n: 24, k: values, x: f32, y: f32}, f) })
	}
	for _, c := range []linearCase{{m: 3, n: 24, k: 96, x: f32, y: f32}, {m: 12, n: 24, k: 1028, x: f32, y: f32}} {
		t.Run("I8 at the end", func(t T) { s.on(atEnd).rig(t).int8(c) })
		t.Run("NF4 at the end", func(t T) { s.on(atEnd).rig(t).nf4(c, 64, 0) })
	}
}

func (r *rig) int8(c linearCase) {
	codes := each(c.n, c.k, func(int, int) float64 { return float64(r.rng.IntN(255) - 127) })
	q, scale := r.matOf(device.I8, c.n, c.k, codes), r.mat(device.F32, 1, c.n)
	w := &tensor{v: each(c.n, c.k, func(o, k int) float64 { return q.v[o*c.k+k] * scale.v[o] })}
	r.linear(c, w, func(*tensor) device.Weight {
		return device.Weight{Format: device.INT8, Data: q.Mat, Out: c.n, In: c.k, Scale: scale.Mat}
	}, c.x == device.F32)
}

// fp8 checks 8-bit floats with a scale per row.
func (r *rig) fp8(c linearCase, dtype device.DType) {
	q, scale := r.mat(dtype, c.n, c.k), r.mat(device.F32, 1, c.n)
	w := &tensor{v: each(c.n, c.k, func(o, k int) float64 { return q.v[o*c.k+k] * scale.v[o] })}
	r.linear(c, w, func(*tensor) device.Weight {
		return device.Weight{Format: device.FP8, Data: q.Mat, Out: c.n, In: c.k, Scale: scale.Mat}
	}, c.x == device.F32)
}

// halvesOf are where the blocks of formats of GGUF have numbers in float16; every other byte
// may be any.
var halvesOf = map[device.Format][]int{
	device.Q4_0: {0}, device.Q4_1: {0, 2}, device.Q5_0: {0}, device.Q5_1: {0, 2}, device.Q8_0: {0}, device.Q2_K: {80, 82},
	device.Q3_K: {108}, device.Q4_K: {0, 2}, device.Q5_K: {0, 2}, device.Q6_K: {208}, device.IQ4_NL: {0}, device.IQ4_XS: {0},
}

// blocks checks a format of GGUF against weights.Unpack, which the reference cases check.
func (r *rig) blocks(c linearCase, f device.Format) {
	_, size := f.Block()
	row := f.RowBytes(c.k)
	raw := make([]byte, c.n*row)
	for i := range raw {
		raw[i] = byte(r.rng.Uint32())
	}
	for at := 0; at < len(raw); at += size {
		for _, half := range halvesOf[f] {
			encode(device.F16, raw[at+half:], r.rng.NormFloat64()/8)
		}
	}
	values := make([]float32, c.n*c.k)
	weights.Unpack(values, raw, f)
	q := r.matOf(device.U8, c.n, row, each(c.n, row, func(o, b int) float64 { return float64(raw[o*row+b]) }))
	w := &tensor{v: each(c.n, c.k, func(o, k int) float64 { return float64(values[o*c.k+k]) })}
	r.linear(c, w, func(*tensor) device.Weight { return device.Weight{Format: f, Data: q.Mat, Out: c.n, In: c.k} }, c.x == device.F32)
}

// nf4 checks 4-bit weights in blocks; with nested not 0, so many scales share one
// of their own.
func (r *rig) nf4(c linearCase, block, nested int) {
	n := c.n * c.k
	codes := each(1, n, func(int, int) float64 { return float64(r.rng.IntN(16)) })
	q := r.matOf(device.U8, 1, n/2, each(1, n/2, func(_, i int) float64 { return codes[2*i]*16 + codes[2*i+1] }))
	code := r.matOf(device.F32, 1, 16, nf4)
	blocks := (n + block - 1) / block
	w := device.Weight{Format: device.NF4, Data: q.Mat, Out: c.n, In: c.k, Block: block, Code: code.Mat}
	var scales []float64
	if nested == 0 {
		scale := r.mat(device.F32, 1, blocks)
		w.Scale, scales = scale.Mat, scale.v
	} else {
		bytes := r.matOf(device.U8, 1, blocks, each(1, blocks, func(int, int) float64 { return float64(r.rng.IntN(256)) }))
		outer, table := r.mat(device.F32, 1, (blocks+nested-1)/nested), r.mat(device.F32, 1, 256)
		w.Scale, w.Nested, w.NestedCode, w.NestedBlock, w.NestedOffset = bytes.Mat, outer.Mat, table.Mat, nested, 0.25
		scales = each(1, blocks, func(_, b int) float64 { return table.v[int(bytes.v[b])]*outer.v[b/nested] + 0.25 })
	}
	values := each(1, n, func(_, i int) float64 { return code.v[int(codes[i])] * scales[i/block] })
	r.linear(c, &tensor{v: values}, func(*tensor) device.Weight { return w }, c.x == device.F32)
}
