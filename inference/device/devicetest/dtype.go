package devicetest

import (
	"encoding/binary"
	"math"
	"sync"

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
	case device.F8E5M2:
		dst[0] = byte(toSmall(v, 5, 2))
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
		return halves()[binary.LittleEndian.Uint16(src)]
	case device.BF16:
		return float64(math.Float32frombits(uint32(binary.LittleEndian.Uint16(src)) << 16))
	case device.F8E4M3:
		return f8s()[src[0]]
	case device.F8E5M2:
		return halves()[uint16(src[0])<<8]
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

// f8s are the values of the F8_E4M3 codes.
var f8s = sync.OnceValue(func() []float64 {
	values := make([]float64, 1<<8)
	for code := range values {
		m := float64(code & 7)
		if e := code >> 3 & 15; e > 0 {
			m = math.Ldexp(8+m, e-1)
		}
		values[code] = math.Copysign(math.Ldexp(m, -9), -float64(code>>7)+0.5)
		if code&0x7f == 0x7f {
			values[code] = math.NaN()
		}
	}
	return values
})

// halves are the values of the F16 codes.
var halves = sync.OnceValue(func() []float64 {
	values := make([]float64, 1<<16)
	for code := range values {
		m, e := float64(code&0x3ff), code>>10&31
		switch {
		case e == 31 && m != 0:
			values[code] = math.NaN()
			continue
		case e == 31:
			m = math.Inf(1)
		case e > 0:
			m = math.Ldexp(m+1024, e-25)
		default:
			m = math.Ldexp(m, -24)
		}
		values[code] = math.Copysign(m, -float64(code>>15)+0.5)
	}
	return values
})

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

// toF8 returns the F8_E4M3 code nearest to v.
func toF8(v float64) byte {
	codes, best := f8s(), 0x7f
	for code, value := range codes {
		if d := math.Abs(value - v); d < math.Abs(codes[best]-v) || best == 0x7f {
			best = code
		}
	}
	return byte(best)
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
