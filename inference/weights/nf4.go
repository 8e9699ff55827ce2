package weights

import (
	"fmt"
	"unsafe"

	"gimbal/inference/device"
)

// NF4Code holds the values of the 16 codes, ascending: quantiles of the normal
// distribution, scaled to [-1, 1] (QLoRA, appendix E; bitsandbytes' table).
var NF4Code = [16]float32{
	-1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453,
	-0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0,
	0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
	0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1,
}

// nf4Middles are the middles of neighbouring codes: the code nearest to a value, the
// lower one of two, is the number of middles below it.
var nf4Middles = func() (middles [15]float32) {
	for i := range middles {
		middles[i] = float32((float64(NF4Code[i]) + float64(NF4Code[i+1])) / 2)
	}
	return middles
}()

// NF4Len returns the number of code bytes and of scales of n values.
func NF4Len(n, block int) (codes, scales int) { return (n + 1) / 2, (n + block - 1) / block }

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
