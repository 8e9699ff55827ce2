package quant

import (
	"fmt"
	"math"
)

// EncodeINT8 quantises w, len(scale) rows of equal length, to 8 bits: the scale
// of a row is its largest magnitude / 127 and a code, in two's complement, the
// value / scale, rounded half to even. A row with a NaN or an infinity gets a
// scale of NaN and decodes to NaN.
func EncodeINT8(codes []byte, scale, w []float32) {
	cols := checkINT8(codes, scale, w)
	for r := range scale {
		scale[r] = encodeINT8Row(codes[r*cols:(r+1)*cols], w[r*cols:(r+1)*cols]) / 127
	}
}

// encodeINT8Row returns the row's largest magnitude, or NaN.
func encodeINT8Row(codes []byte, row []float32) float32 {
	most := largest(row)
	if math.IsInf(float64(most), 1) {
		most = float32(math.NaN())
	}
	scale := most / 127
	if !(scale >= smallestNormal) {
		clear(codes)
		return most
	}
	codes = codes[:len(row)]
	for i, v := range row {
		codes[i] = roundByte(v / scale)
	}
	return most
}

// smallestNormal is the least scale: a value divided by a smaller one could be out
// of range. Weights that small count as zeros.
const smallestNormal = 0x1p-126

// roundByte rounds x, at most 2^22 in magnitude, half to even: the sum has the
// whole part of x in its lowest bits.
func roundByte(x float32) byte { return byte(math.Float32bits(x + 3<<22)) }

// DecodeINT8 sets w to the values that codes and scale stand for.
func DecodeINT8(w []float32, codes []byte, scale []float32) {
	cols := checkINT8(codes, scale, w)
	for r, s := range scale {
		row, in := w[r*cols:(r+1)*cols], codes[r*cols:(r+1)*cols]
		for i := range row {
			row[i] = float32(int8(in[i])) * s
		}
	}
}

// checkINT8 returns the length of a row.
func checkINT8(codes []byte, scale, w []float32) int {
	if len(codes) != len(w) || len(scale) == 0 && len(w) != 0 || len(scale) > 0 && len(w)%len(scale) != 0 {
		panic(fmt.Sprintf("quant: %d codes and %d rows for %d values", len(codes), len(scale), len(w)))
	}
	if len(scale) == 0 {
		return 0
	}
	return len(w) / len(scale)
}
