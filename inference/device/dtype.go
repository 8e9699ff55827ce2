package device

import (
	"fmt"
	"unsafe"
)

// DType is the type of the elements of a tensor, named as safetensors names it.
type DType uint8

// The element types that checkpoints and devices know.
const (
	F32    DType = iota + 1 // IEEE 754 binary32
	F16                     // IEEE 754 binary16
	BF16                    // the upper half of a binary32
	F8E4M3                  // 8-bit float: 4 exponent bits (bias 7), 3 mantissa bits, no infinities, NaN is 0x7f and 0xff
	I8                      // two's complement
	U8
	I32
	I64
	F8E5M2 // 8-bit float: the upper half of a binary16
)

var dtypes = [...]struct {
	name string
	size int
}{
	F32: {"F32", 4}, F16: {"F16", 2}, BF16: {"BF16", 2}, F8E4M3: {"F8_E4M3", 1},
	I8: {"I8", 1}, U8: {"U8", 1}, I32: {"I32", 4}, I64: {"I64", 8}, F8E5M2: {"F8_E5M2", 1},
}

// Valid reports whether d is one of the types above.
func (d DType) Valid() bool { return d > 0 && int(d) < len(dtypes) }

// Size returns the bytes of one element.
func (d DType) Size() int {
	if !d.Valid() {
		panic(fmt.Sprintf("device: no such dtype %d", d))
	}
	return dtypes[d].size
}

// String returns the type's safetensors name, such as "BF16".
func (d DType) String() string {
	if !d.Valid() {
		return fmt.Sprintf("DType(%d)", uint8(d))
	}
	return dtypes[d].name
}

// ParseDType returns the type that safetensors calls name; ok is false for a
// name that is not known here.
func ParseDType(name string) (d DType, ok bool) {
	for i, t := range dtypes {
		if t.name == name && i > 0 {
			return DType(i), true
		}
	}
	return 0, false
}

// Bytes views values as the little-endian bytes of F32 that a device reads and
// writes; all supported machines keep them so. No values are nil bytes.
func Bytes(values []float32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(values))), 4*len(values))
}
