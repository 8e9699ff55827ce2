package weights

import (
	"encoding/binary"
	"math"
	"testing"

	"gimbal/inference/device"
)

// TestFloat32s compares all 16-bit and 8-bit floats with their definition.
func TestFloat32s(t *testing.T) {
	for _, c := range []struct {
		dtype              device.DType
		exponent, mantissa int // bits
		finite             bool
	}{
		{device.F16, 5, 10, false}, {device.BF16, 8, 7, false}, {device.F8E4M3, 4, 3, true},
	} {
		size := c.dtype.Size()
		n := 1 << (8 * size)
		x := Tensor{DType: c.dtype}
		for i := range n {
			if size == 1 {
				x.Data = append(x.Data, byte(i))
			} else {
				x.Data = binary.LittleEndian.AppendUint16(x.Data, uint16(i))
			}
		}
		got, err := x.Float32s()
		if err != nil || len(got) != n {
			t.Fatalf("%v: %d values, %v", c.dtype, len(got), err)
		}
		for i, g := range got {
			if want := define(i, c.exponent, c.mantissa, c.finite); float64(g) != want && !(math.IsNaN(float64(g)) && math.IsNaN(want)) {
				t.Fatalf("%v %#x is %v, want %v", c.dtype, i, g, want)
			}
		}
	}
	x := Tensor{DType: device.F32, Data: []byte{0, 0, 0xc0, 0x3f}}
	if got, err := x.Float32s(); err != nil || len(got) != 1 || got[0] != 1.5 {
		t.Errorf("F32: %v, %v", got, err)
	}
	for _, d := range []device.DType{device.I8, device.U8, device.I32, device.I64} {
		if _, err := (Tensor{DType: d}).Float32s(); err == nil {
			t.Errorf("%v widens", d)
		}
	}
}

// define returns the value of the float with these bits. Without infinities
// (finite), only an all-ones number is NaN.
func define(bits, exponentBits, mantissaBits int, finite bool) float64 {
	mantissa := bits & (1<<mantissaBits - 1)
	exponent := bits >> mantissaBits & (1<<exponentBits - 1)
	sign := 1.0
	if bits>>(mantissaBits+exponentBits) != 0 {
		sign = -1
	}
	top := exponent == 1<<exponentBits-1
	bias := 1<<(exponentBits-1) - 1
	switch {
	case top && !finite && mantissa == 0:
		return sign * math.Inf(1)
	case top && (!finite || mantissa == 1<<mantissaBits-1):
		return math.NaN()
	case exponent == 0:
		return sign * math.Ldexp(float64(mantissa), 1-bias-mantissaBits)
	}
	return sign * math.Ldexp(float64(mantissa+1<<mantissaBits), exponent-bias-mantissaBits)
}
