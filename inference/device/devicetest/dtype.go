package devicetest

import (
	"encoding/binary"
	"math"

	"gimbal/inference/device"
)

// encode writes v, rounded to nearest even, as one element of type t.
func encode(t device.DType, dst []byte, v float64) {
	switch t {
	case device.F32:
		binary.LittleEndian.PutUint32(dst, math.Float32bits(float32(v)))
	case device.F16:
		binary.LittleEndian.PutUint16(dst, toSmall(v, 5, 10))
	case device.BF16:
		binary.LittleEndian.PutUint16(dst, toSmall(v, 8, 7))
	case device.F8E4M3:
		dst[0] = toF8(v)
	case device.I8, device.U8:
		dst[0] = byte(int(v))
	case device.I32:
		binary.LittleEndian.PutUint32(dst, uint32(int32(v)))
	case device.I64:
		binary.LittleEndian.PutUint64(dst, uint64(int64(v)))
	}
}

// decode reads one element of type t.
func decode(t device.DType, src []byte) float64 {
	switch t {
	case device.F32:
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(src)))
	case device.F16:
		return fromSmall(binary.LittleEndian.Uint16(src), 5, 10)
	case device.BF16:
		return fromSmall(binary.LittleEndian.Uint16(src), 8, 7)
	case device.F8E4M3:
		if src[0]&0x7f == 0x7f {
			return math.NaN()
		}
		m := float64(src[0] & 7)
		if e := int(src[0] >> 3 & 15); e > 0 {
			m = math.Ldexp(8+m, e-1)
		}
		return math.Copysign(math.Ldexp(m, -9), -float64(src[0]>>7)+0.5)
	case device.I8:
		return float64(int8(src[0]))
	case device.U8:
		return float64(src[0])
	case device.I32:
		return float64(int32(binary.LittleEndian.Uint32(src)))
	case device.I64:
		return float64(int64(binary.LittleEndian.Uint64(src)))
	}
	panic("devicetest: " + t.String())
}

// toSmall rounds v to a float of so many exponent and mantissa bits.
func toSmall(v float64, exponent, mantissa int) uint16 {
	bias := 1<<(exponent-1) - 1
	var sign uint16
	if math.Signbit(v) {
		sign = 1 << (exponent + mantissa)
	}
	inf := uint16(1<<exponent-1) << mantissa
	switch {
	case math.IsNaN(v):
		return sign | inf | 1<<(mantissa-1)
	case math.IsInf(v, 0):
		return sign | inf
	case v == 0:
		return sign
	}
	v = math.Abs(v)
	_, e := math.Frexp(v) // v = f * 2^e, f in [1/2, 1)
	e = max(e-1, 1-bias)
	steps := math.RoundToEven(math.Ldexp(v, mantissa-e))
	// A sub-normal has biased exponent 0 and no hidden bit: both come out of the sum.
	bits := steps + float64((e+bias-1)<<mantissa)
	return sign | uint16(min(bits, float64(inf)))
}

func fromSmall(h uint16, exponent, mantissa int) float64 {
	bias := 1<<(exponent-1) - 1
	m, e := float64(h&(1<<mantissa-1)), int(h>>mantissa)&(1<<exponent-1)
	v := math.Ldexp(m, 1-bias-mantissa)
	switch {
	case e == 1<<exponent-1 && m != 0:
		return math.NaN()
	case e == 1<<exponent-1:
		v = math.Inf(1)
	case e > 0:
		v = math.Ldexp(m+math.Ldexp(1, mantissa), e-bias-mantissa)
	}
	if h>>(exponent+mantissa) != 0 {
		v = -v
	}
	return v
}

// toF8 returns the F8_E4M3 code nearest to v.
func toF8(v float64) byte {
	best := byte(0x7f)
	for code := range 256 {
		b := byte(code)
		if d := math.Abs(decode(device.F8E4M3, []byte{b}) - v); d < math.Abs(decode(device.F8E4M3, []byte{best})-v) || best == 0x7f {
			best = b
		}
	}
	return best
}

// epsilon is the largest relative error of rounding to t.
func epsilon(t device.DType) float64 {
	switch t {
	case device.F16:
		return 1.0 / (1 << 11)
	case device.BF16:
		return 1.0 / (1 << 8)
	}
	return 0
}
