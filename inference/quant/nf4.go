package quant

import (
	"fmt"
	"math"
)

// NF4Code holds the values of the 16 codes, ascending: quantiles of the normal
// distribution, scaled to [-1, 1] (QLoRA, appendix E; bitsandbytes' table).
var NF4Code = [16]float32{
	-1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453,
	-0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0,
	0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
	0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1,
}

const nf4Zero = 7 // the code of 0

// nf4Table finds the code nearest to a value x in [-1, 1]: it is low[b] or the
// next, where b is x's bucket. The codes are further apart than buckets are wide,
// so no bucket has more than one middle of two codes in it.
type nf4Table struct {
	low    [256]uint32 // of nf4Buckets and the one of 1; an index of 8 bits needs no check
	middle [16]float32 // of a code and the next; the last has none
}

const nf4Buckets = 128

var nf4 = func() (t nf4Table) {
	for i := range t.middle {
		t.middle[i] = float32(math.Inf(1))
		if i < 15 {
			t.middle[i] = float32((float64(NF4Code[i]) + float64(NF4Code[i+1])) / 2)
		}
	}
	for b := range nf4Buckets + 1 {
		begin := float32(b)*(2.0/nf4Buckets) - 1
		for begin > t.middle[t.low[b]] {
			t.low[b]++
		}
	}
	return t
}()

// code returns the code nearest to x, the lower one of two.
func (t *nf4Table) code(x float32) uint32 {
	c := t.low[uint8(int32((x+1)*(nf4Buckets/2)))]
	if x > t.middle[c&15] {
		c++
	}
	return c
}

// NF4Len returns the number of code bytes and of scales of n values.
func NF4Len(n, block int) (codes, scales int) { return (n + 1) / 2, (n + block - 1) / block }

// EncodeNF4 quantises w in blocks of block values (an even number; the last block
// may be shorter) to codes, two a byte with the even value in the high nibble, and
// the blocks' largest magnitudes, absmax. The lengths are NF4Len's. Blocks with a
// NaN or an infinity decode to NaN.
func EncodeNF4(codes []byte, absmax, w []float32, block int) {
	checkNF4(codes, absmax, w, block)
	for b := range absmax {
		begin := b * block
		part := w[begin:min(begin+block, len(w))]
		absmax[b] = largest(part)
		encodeNF4Block(codes[begin/2:], part, absmax[b])
	}
}

func encodeNF4Block(codes []byte, w []float32, absmax float32) {
	if !(absmax >= smallestNormal) || math.IsInf(float64(absmax), 1) {
		for i := range (len(w) + 1) / 2 {
			codes[i] = nf4Zero<<4 | nf4Zero
		}
		return
	}
	codes = codes[:(len(w)+1)/2]
	for i := range len(w) / 2 {
		codes[i] = byte(nf4.code(w[2*i]/absmax)<<4 | nf4.code(w[2*i+1]/absmax))
	}
	if last := len(w) - 1; last%2 == 0 {
		codes[last/2] = byte(nf4.code(w[last]/absmax)<<4 | nf4Zero)
	}
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

// largest returns the largest magnitude in w; NaN if there is one. The bits of
// magnitudes are ordered as the magnitudes are, NaN last.
func largest(w []float32) float32 {
	var most uint32
	for _, v := range w {
		most = max(most, math.Float32bits(v)&^(1<<31))
	}
	return math.Float32frombits(most)
}
