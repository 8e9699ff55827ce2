package weights

import (
	"encoding/binary"
	"fmt"
	"math"

	"gimbal/inference/device"
)

// Float32s returns the elements of a tensor of a float type, widened to F32. It
// fails for the integer types.
func (t Tensor) Float32s() ([]float32, error) {
	values := make([]float32, len(t.Data)/t.DType.Size())
	if !Widen(values, t.Data, t.DType) {
		return nil, fmt.Errorf("weights: tensor %q: found dtype %v, expected %s", t.Name, t.DType, floatTypes)
	}
	return values, nil
}

// floatTypes names those that Widen knows, for errors.
const floatTypes = "F32, F16, BF16, F8_E4M3 or F8_E5M2"

func isFloat(t device.DType) bool { return Widen(nil, nil, t) }

// Widen sets dst to the elements of src, little-endian and of a float type. It
// reports false for the other types.
func Widen(dst []float32, src []byte, from device.DType) bool {
	le := binary.LittleEndian
	src = src[:len(dst)*from.Size()]
	switch from {
	case device.F32:
		for i := range dst {
			dst[i] = math.Float32frombits(le.Uint32(src[4*i:]))
		}
	case device.F16:
		for i := range dst {
			dst[i] = fromF16(le.Uint16(src[2*i:]))
		}
	case device.BF16:
		for i := range dst {
			dst[i] = math.Float32frombits(uint32(le.Uint16(src[2*i:])) << 16)
		}
	case device.F8E4M3:
		for i := range dst {
			dst[i] = fromF8E4M3(src[i])
		}
	case device.F8E5M2:
		for i := range dst {
			dst[i] = fromF16(uint16(src[i]) << 8)
		}
	default:
		return false
	}
	return true
}

// narrow writes values in a float type of 16 bits or F32, rounded to nearest, ties to even.
func narrow(dst []byte, src []float32, to device.DType) {
	le := binary.LittleEndian
	switch to {
	case device.F32:
		copy(dst, device.Bytes(src))
	case device.BF16:
		for i, v := range src {
			le.PutUint16(dst[2*i:], toBF16(math.Float32bits(v)))
		}
	case device.F16:
		for i, v := range src {
			le.PutUint16(dst[2*i:], toF16(v))
		}
	}
}

// toBF16 rounds the bits of an F32 to BF16, to nearest, ties to even, as torch does. What is no
// number stays none.
func toBF16(bits uint32) uint16 {
	if bits&0x7fffffff > 0x7f800000 {
		return uint16((bits | 1<<22) >> 16) // not an infinity
	}
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}

// toF16 rounds to an IEEE 754 binary16, to nearest, ties to even; what is too large becomes
// infinite.
func toF16(v float32) uint16 {
	bits := math.Float32bits(v)
	sign := uint16(bits >> 16 & 0x8000)
	switch magnitude := bits & 0x7fffffff; {
	case magnitude > 0x7f800000:
		return sign | 0x7e00
	case magnitude >= 0x477ff000: // rounds to 65536 or more
		return sign | 0x7c00
	case magnitude < 0x38800000: // below 2^-14: steps of 2^-24
		return sign | uint16(math.RoundToEven(float64(math.Float32frombits(magnitude))*(1<<24)))
	default:
		return sign | uint16((magnitude-0x38000000+0xfff+magnitude>>13&1)>>13)
	}
}

// fromF16 widens an IEEE 754 binary16.
func fromF16(h uint16) float32 {
	sign := uint32(h>>15) << 31
	exponent, mantissa := uint32(h>>10)&0x1f, uint32(h)&0x3ff
	switch exponent {
	case 0: // mantissa * 2^-24, exact
		return math.Float32frombits(sign | math.Float32bits(float32(mantissa)*0x1p-24))
	case 0x1f: // infinity or NaN
		return math.Float32frombits(sign | 0x7f800000 | mantissa<<13)
	}
	return math.Float32frombits(sign | (exponent+127-15)<<23 | mantissa<<13)
}

// fromF8E4M3 widens the 8-bit float of https://arxiv.org/abs/2209.05433: bias 7,
// no infinities, NaN only where all exponent and mantissa bits are set.
func fromF8E4M3(b byte) float32 {
	sign := uint32(b>>7) << 31
	exponent, mantissa := uint32(b>>3)&0xf, uint32(b)&7
	switch {
	case exponent == 0: // mantissa * 2^-9, exact
		return math.Float32frombits(sign | math.Float32bits(float32(mantissa)*0x1p-9))
	case exponent == 0xf && mantissa == 7:
		return math.Float32frombits(sign | 0x7fc00000)
	}
	return math.Float32frombits(sign | (exponent+127-7)<<23 | mantissa<<20)
}
