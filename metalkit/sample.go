package metalkit

import (
	"bytes"
	"encoding/binary"
	"math"

	"gimbal/inference/device"
)

// sampleBytes are contents for n elements of a type that every device takes: from -1 to 1
// about, without NaN, and below limit where they are whole numbers.
func sampleBytes(t device.DType, n int, seed uint32, limit int) []byte {
	size := t.Size()
	to := make([]byte, n*size)
	state := seed*2654435761 + 12345
	for i := range n {
		state = state*1664525 + 1013904223
		v := float32(int32(state>>8)%1024)/512 - 1
		at := to[i*size:]
		switch t {
		case device.F32:
			binary.LittleEndian.PutUint32(at, math.Float32bits(v))
		case device.BF16:
			binary.LittleEndian.PutUint16(at, uint16(math.Float32bits(v)>>16))
		case device.F16:
			binary.LittleEndian.PutUint16(at, halfOf(v))
		case device.F8E4M3, device.F8E5M2:
			at[0] = byte(state>>9&0x80) | byte(state>>16&0x37) // below 1
		case device.I32:
			binary.LittleEndian.PutUint32(at, uint32(int(state>>8)%limit))
		case device.U8:
			at[0] = byte(state>>16) & byte(limit)
		default:
			at[0] = byte(state >> 16)
		}
	}
	return to
}

// halfOf is v in F16, cut, which is at least 2^-9 or 0.
func halfOf(v float32) uint16 {
	bits := math.Float32bits(v)
	if bits<<1 == 0 {
		return 0
	}
	return uint16(bits>>16&0x8000 | ((bits>>23&0xff-112)<<10|bits>>13&0x3ff)&0x7fff)
}

// floatAt is element i of values in a type that results have.
func floatAt(t device.DType, values []byte, i int) float64 {
	switch t {
	case device.F32:
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(values[4*i:])))
	case device.BF16:
		return float64(math.Float32frombits(uint32(binary.LittleEndian.Uint16(values[2*i:])) << 16))
	}
	bits := binary.LittleEndian.Uint16(values[2*i:])
	sign, exponent, fraction := 1-2*float64(bits>>15), int(bits>>10&31), float64(bits&0x3ff)
	switch exponent {
	case 0:
		return sign * math.Ldexp(fraction, -24)
	case 31:
		if fraction == 0 {
			return math.Inf(int(sign))
		}
		return math.NaN()
	}
	return sign * math.Ldexp(1+fraction/1024, exponent-15)
}

// difference is the largest of a's and b's elements of a type, in parts of the largest of b.
// Where only one of two is NaN or infinite, or whole numbers differ, it is infinite.
func difference(t device.DType, a, b []byte) float64 {
	if t != device.F32 && t != device.F16 && t != device.BF16 {
		if bytes.Equal(a, b) {
			return 0
		}
		return math.Inf(1)
	}
	most, largest := 0.0, math.SmallestNonzeroFloat64
	for i := range len(a) / t.Size() {
		x, y := floatAt(t, a, i), floatAt(t, b, i)
		if x == y || x != x && y != y {
			largest = max(largest, finite(y))
			continue
		}
		d := math.Abs(x - y)
		if d != d || math.IsInf(d, 0) {
			return math.Inf(1)
		}
		most, largest = max(most, d), max(largest, math.Abs(y))
	}
	return most / largest
}

// allFinite reports whether none of the elements of a type is NaN or infinite.
func allFinite(t device.DType, values []byte) bool {
	for i := range len(values) / t.Size() {
		if v := floatAt(t, values, i); v-v != 0 {
			return false
		}
	}
	return true
}

// finite is the size of v, 0 if it has none.
func finite(v float64) float64 {
	if v = math.Abs(v); v <= math.MaxFloat64 {
		return v
	}
	return 0
}

// tolerance is how much results may differ, by difference, that are sums in another order of
// products in the device's type, kept in t.
func (d *gpu) tolerance(t device.DType) float64 {
	if device.DType(d.variants.dtype) != device.F32 || t != device.F32 {
		return 3e-2
	}
	return 1e-3
}
