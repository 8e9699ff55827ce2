package weights

/*
#cgo CFLAGS: -O3 -Wall -Wno-psabi
#include "encode.h"
*/
import "C"

import (
	"unsafe"

	"gimbal/inference/device"
)

// encodeNF4 quantises n weights, at w, of type F32 or BF16; the slices' lengths are
// NF4Len's.
func encodeNF4(codes []byte, absmax []float32, w unsafe.Pointer, from device.DType, n, block int) {
	if n == 0 {
		return
	}
	C.gq_nf4((*C.uint8_t)(&codes[0]), (*C.float)(&absmax[0]), w, isBF16(from), C.long(n), C.long(block), (*C.float)(&nf4Middles[0]))
}

// encodeINT8 quantises a row of weights, at w, for each value of absmax, which
// becomes the row's largest magnitude.
func encodeINT8(codes []byte, absmax []float32, w unsafe.Pointer, from device.DType) {
	if len(codes) == 0 {
		return
	}
	C.gq_int8((*C.uint8_t)(&codes[0]), (*C.float)(&absmax[0]), w, isBF16(from), C.long(len(absmax)), C.long(len(codes)/len(absmax)))
}

func isBF16(t device.DType) C.int {
	if t == device.BF16 {
		return 1
	}
	return 0
}
