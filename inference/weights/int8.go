package weights

import (
	"fmt"
	"unsafe"

	"gimbal/inference/device"
)

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
