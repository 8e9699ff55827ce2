package weights

import (
	"encoding/binary"
	"fmt"
	"math"
	"unsafe"

	"gimbal/inference/device"
)

// What the tests of the values look at.
var (
	NestedCode = nestedCode
	NF4Len     = nf4Len
	NF4Tensor  = encodeNF4Tensor
	INT8Tensor = encodeINT8Tensor

	EncodeNested = encodeNested
)

const NestedBlock = nestedBlock

// EncodeNF4 quantises w in blocks of block values (an even number; the last block
// may be shorter) to codes, two a byte with the even value in the high nibble, and
// the blocks' largest magnitudes, absmax. The lengths are NF4Len's. Blocks with a
// NaN or an infinity decode to NaN.
func EncodeNF4(codes []byte, absmax, w []float32, block int) {
	checkNF4(codes, absmax, w, block)
	encodeNF4(codes, absmax, unsafe.Pointer(unsafe.SliceData(w)), device.F32, len(w), block)
}

// DecodeNF4 sets w to the values that codes and absmax stand for: the product of
// a code's value and its block's absmax.
func DecodeNF4(w []float32, codes []byte, absmax []float32, block int) {
	checkNF4(codes, absmax, w, block)
	for b, scale := range absmax {
		var value [16]float32
		for i, c := range NF4Code {
			value[i] = c * scale
		}
		begin := b * block
		part := w[begin:min(begin+block, len(w))]
		packed := codes[begin/2:]
		for i := range len(part) / 2 {
			part[2*i], part[2*i+1] = value[packed[i]>>4], value[packed[i]&15]
		}
		if last := len(part) - 1; last%2 == 0 {
			part[last] = value[packed[last/2]>>4]
		}
	}
}

func checkNF4(codes []byte, absmax, w []float32, block int) {
	if block < 2 || block%2 != 0 {
		panic(fmt.Sprintf("quant: NF4 blocks of %d values, want an even number", block))
	}
	if c, s := NF4Len(len(w), block); len(codes) != c || len(absmax) != s {
		panic(fmt.Sprintf("quant: %d code bytes and %d scales for %d values, want %d and %d", len(codes), len(absmax), len(w), c, s))
	}
}

// EncodeINT8 quantises w, len(scale) rows of equal length, to 8 bits: the scale
// of a row is its largest magnitude / 127 and a code, in two's complement, the
// value / scale, rounded half to even. A row with a NaN or an infinity gets a
// scale of NaN and decodes to NaN.
func EncodeINT8(codes []byte, scale, w []float32) {
	checkINT8(codes, scale, w)
	encodeINT8(codes, scale, unsafe.Pointer(unsafe.SliceData(w)), device.F32)
	for r := range scale {
		scale[r] /= 127
	}
}

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

// DecodeNested sets absmax to the scales that codes and nested stand for.
func DecodeNested(absmax []float32, codes []byte, nested []float32, offset float32) {
	for i, c := range codes {
		absmax[i] = nestedCode[c]*nested[i/nestedBlock] + offset
	}
}

// EncodeBF16 rounds a value.
func EncodeBF16(v float32) uint16 {
	to := make([]byte, 2)
	encodeBF16(to, binary.LittleEndian.AppendUint32(nil, math.Float32bits(v)))
	return binary.LittleEndian.Uint16(to)
}
