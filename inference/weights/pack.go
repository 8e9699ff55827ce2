package weights

import (
	"encoding/binary"
	"math"

	"gimbal/inference/device"
)

// packers encode a row of whole blocks in a format of GGUF, as llama.cpp's quantize_row_*_ref
// (https://github.com/ggml-org/llama.cpp/blob/master/ggml/src/ggml-quants.c) choose the codes:
// the inverse of Unpack up to rounding.
var packers = map[device.Format]func(to []byte, from []float32){
	device.Q8_0: packRow(device.Q8_0, packQ8),
	device.Q4_K: packRow(device.Q4_K, packQ4K),
}

// Pack encodes values, whole blocks, in a format of GGUF: Q8_0 or Q4_K.
func Pack(dst []byte, src []float32, f device.Format) { packers[f](dst, src) }

func packRow(f device.Format, pack func(b []byte, x []float32)) func(to []byte, from []float32) {
	values, size := f.Block()
	return func(to []byte, from []float32) {
		for len(from) > 0 {
			pack(to[:size], from[:values])
			to, from = to[size:], from[values:]
		}
	}
}

// packQ8 encodes 32 values as d*q, with q of 8 bits and the largest as 127.
func packQ8(b []byte, x []float32) {
	var most float32
	for _, v := range x {
		most = max(most, float32(math.Abs(float64(v))))
	}
	d := most / 127
	var inverse float32
	if d > 0 {
		inverse = 1 / d
	}
	binary.LittleEndian.PutUint16(b, toF16(d))
	for i, v := range x {
		b[2+i] = byte(int8(math.Round(float64(v * inverse))))
	}
}

// packQ4K encodes 256 values as d*s*q - m*t, with q of 4 bits and, for each 32 of them, s and t
// of 6.
func packQ4K(b []byte, x []float32) {
	const parts, each, codes, sixBits = 8, 32, 15, 63
	var scales, leasts [parts]float32
	var mostScale, mostLeast float32
	for p := range parts {
		scales[p], leasts[p] = fitAffine(x[each*p:each*(p+1)], codes)
		mostScale, mostLeast = max(mostScale, scales[p]), max(mostLeast, leasts[p])
	}
	d, m := toF16(mostScale/sixBits), toF16(mostLeast/sixBits)
	clear(b[:16])
	binary.LittleEndian.PutUint16(b, d)
	binary.LittleEndian.PutUint16(b[2:], m)
	part := func(v, most float32) byte {
		if most <= 0 {
			return 0
		}
		return byte(min(sixBits, nearest32(v*(sixBits/most))))
	}
	var q [parts * each]byte
	for p := range parts {
		s, t := part(scales[p], mostScale), part(leasts[p], mostLeast)
		putSixBits(b[4:16], p, s, t)
		scale, least := fromF16(d)*float32(s), fromF16(m)*float32(t)
		if scale == 0 {
			continue
		}
		for i := each * p; i < each*(p+1); i++ {
			q[i] = byte(max(0, min(codes, nearest32((x[i]+least)/scale))))
		}
	}
	for i := range q[:128] {
		at := i/each*2*each + i%each
		b[16+i] = q[at] | q[at+each]<<4
	}
}

// putSixBits is the inverse of sixBits.
func putSixBits(b []byte, p int, scale, least byte) {
	if p < 4 {
		b[p] |= scale
		b[p+4] |= least
		return
	}
	b[p+4] = scale&15 | least&15<<4
	b[p-4] |= scale >> 4 << 6
	b[p] |= least >> 4 << 6
}

// fitAffine returns the scale and the least value, negated and not below 0, with which codes of
// 0 to most are nearest to x by squares of errors that weigh as much as a value is large: it
// tries 21 scales around the range's, and for the codes of each solves for scale and least.
func fitAffine(x []float32, most int) (scale, least float32) {
	low, high, squares := x[0], x[0], float32(0)
	for _, v := range x {
		low, high, squares = min(low, v), max(high, v), squares+v*v
	}
	low = min(low, 0)
	if high == low {
		return 0, -low
	}
	typical := float32(math.Sqrt(float64(squares / float32(len(x)))))
	var weights [32]float32
	var sumW, sumX float32
	for i, v := range x {
		weights[i] = typical + float32(math.Abs(float64(v)))
		sumW, sumX = sumW+weights[i], sumX+weights[i]*v
	}
	var codes [32]float32
	encode := func(inverse, low float32) {
		for i, v := range x {
			codes[i] = float32(max(0, min(most, nearest32(inverse*(v-low)))))
		}
	}
	errorOf := func(scale, low float32) (sum float32) {
		for i, v := range x {
			d := scale*codes[i] + low - v
			sum += weights[i] * d * d
		}
		return sum
	}
	first := low
	scale = (high - low) / float32(most)
	encode(float32(most)/(high-low), low)
	best := errorOf(scale, low)
	for step := range 21 {
		encode((-1+0.1*float32(step)+float32(most))/(high-first), first)
		var sumL, sumL2, sumXL float32
		for i, v := range x {
			w, l := weights[i], codes[i]
			sumL, sumL2, sumXL = sumL+w*l, sumL2+w*l*l, sumXL+w*l*v
		}
		det := sumW*sumL2 - sumL*sumL
		if det <= 0 {
			continue
		}
		s, at := (sumW*sumXL-sumX*sumL)/det, (sumL2*sumX-sumL*sumXL)/det
		if at > 0 {
			s, at = sumXL/sumL2, 0
		}
		if e := errorOf(s, at); e < best {
			best, scale, low = e, s, at
		}
	}
	return scale, -low
}

// nearest32 rounds to the nearest whole number, ties to even.
func nearest32(v float32) int { return int(math.RoundToEven(float64(v))) }
