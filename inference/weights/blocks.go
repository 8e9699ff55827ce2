package weights

import (
	"encoding/binary"

	"gimbal/inference/device"
)

// Unpack widens n values, whole blocks of a format of GGUF
// (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md), from src to dst. It rounds
// as gguf-py does: products of scales first, then of values, none of them fused.
func Unpack(dst []float32, src []byte, f device.Format) {
	values, size := f.Block()
	decode := unpackers[f]
	for len(dst) > 0 {
		decode(dst[:values], src[:size])
		dst, src = dst[values:], src[size:]
	}
}

// unpackers widen one block. d and m are float16; codes lie in low nibbles first.
var unpackers = map[device.Format]func(y []float32, b []byte){
	device.Q4_0: func(y []float32, b []byte) {
		d := half(b)
		for i, q := range b[2:18] {
			y[i], y[i+16] = d*float32(int(q&15)-8), d*float32(int(q>>4)-8)
		}
	},
	device.Q4_1: func(y []float32, b []byte) {
		d, m := half(b), half(b[2:])
		for i, q := range b[4:20] {
			y[i], y[i+16] = float32(d*float32(q&15))+m, float32(d*float32(q>>4))+m
		}
	},
	device.Q5_0: func(y []float32, b []byte) {
		d, h := half(b), binary.LittleEndian.Uint32(b[2:])
		for i, q := range b[6:22] {
			y[i], y[i+16] = d*float32(fifth(q&15, h, i)-16), d*float32(fifth(q>>4, h, i+16)-16)
		}
	},
	device.Q5_1: func(y []float32, b []byte) {
		d, m, h := half(b), half(b[2:]), binary.LittleEndian.Uint32(b[4:])
		for i, q := range b[8:24] {
			y[i], y[i+16] = float32(d*float32(fifth(q&15, h, i)))+m, float32(d*float32(fifth(q>>4, h, i+16)))+m
		}
	},
	device.Q8_0: func(y []float32, b []byte) {
		d := half(b)
		for i, q := range b[2:34] {
			y[i] = d * float32(int8(q))
		}
	},
	device.Q2_K: func(y []float32, b []byte) {
		d, m := half(b[80:]), half(b[82:])
		for i := range y {
			s := b[i/16]
			q := b[16+i/128*32+i%32] >> (i / 32 % 4 * 2) & 3
			y[i] = float32(float32(d*float32(s&15))*float32(q)) - float32(m*float32(s>>4))
		}
	},
	device.Q3_K: func(y []float32, b []byte) {
		d, s := half(b[108:]), b[96:108]
		for i := range y {
			k := i / 16
			scale := s[k%8] >> (k / 8 * 4) & 15
			scale |= s[8+k%4] >> (k / 4 * 2) & 3 << 4
			q := int(b[32+i/128*32+i%32]>>(i/32%4*2)&3) - 4 + 4*int(b[i%32]>>(i/32)&1)
			y[i] = float32(d*float32(int(scale)-32)) * float32(q)
		}
	},
	device.Q4_K: func(y []float32, b []byte) {
		d, m := half(b), half(b[2:])
		for i := range y {
			scale, least := sixBits(b[4:16], i/32)
			q := b[16+i/64*32+i%32] >> (i / 32 % 2 * 4) & 15
			y[i] = float32(float32(d*scale)*float32(q)) - float32(m*least)
		}
	},
	device.Q5_K: func(y []float32, b []byte) {
		d, m := half(b), half(b[2:])
		for i := range y {
			scale, least := sixBits(b[4:16], i/32)
			q := b[48+i/64*32+i%32]>>(i/32%2*4)&15 | b[16+i%32]>>(i/32)&1<<4
			y[i] = float32(float32(d*scale)*float32(q)) - float32(m*least)
		}
	},
	device.Q6_K: func(y []float32, b []byte) {
		d := half(b[208:])
		for i := range y {
			part := i / 32 % 4
			q := b[i/128*64+part%2*32+i%32] >> (part / 2 * 4) & 15
			q |= b[128+i/128*32+i%32] >> (part * 2) & 3 << 4
			y[i] = float32(d*float32(int8(b[192+i/16]))) * float32(int(q)-32)
		}
	},
	device.IQ4_NL: func(y []float32, b []byte) {
		unpackIQ4(y, half(b), b[2:18])
	},
	device.IQ4_XS: func(y []float32, b []byte) {
		d, high := half(b), binary.LittleEndian.Uint16(b[2:])
		for s := range 8 {
			scale := int(b[4+s/2]>>(s%2*4)&15) | int(high>>(2*s)&3)<<4
			unpackIQ4(y[32*s:32*s+32], d*float32(scale-32), b[8+16*s:24+16*s])
		}
	},
}

// half reads a float16.
func half(b []byte) float32 { return fromF16(binary.LittleEndian.Uint16(b)) }

// fifth puts bit i of h above four bits.
func fifth(q byte, h uint32, i int) int { return int(q) | int(h>>i&1)<<4 }

// sixBits reads scale and minimum i of eight, of six bits each, from 12 bytes.
func sixBits(s []byte, i int) (scale, least float32) {
	if i < 4 {
		return float32(s[i] & 63), float32(s[i+4] & 63)
	}
	return float32(s[i+4]&15 | s[i-4]>>6<<4), float32(s[i+4]>>4 | s[i]>>6<<4)
}

// iq4Values are the values of the codes of IQ4_NL and IQ4_XS.
var iq4Values = [16]float32{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}

func unpackIQ4(y []float32, d float32, codes []byte) {
	for i, q := range codes {
		y[i], y[i+16] = d*iq4Values[q&15], d*iq4Values[q>>4]
	}
}
