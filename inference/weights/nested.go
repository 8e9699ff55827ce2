package weights

import (
	"math"
	"slices"
	"sort"
)

// nestedBlock is the number of NF4 scales that share a scale of their own.
const nestedBlock = 256

// nestedLen returns the number of scales of so many scales.
func nestedLen(scales int) int { return (scales + nestedBlock - 1) / nestedBlock }

// nestedCode holds the values of the 256 codes of NF4 scales, ascending: the signed
// dynamic type of "8-bit Optimizers via Block-wise Quantization"
// (https://arxiv.org/abs/2110.02861, section 2.1), bitsandbytes' default. Decade
// 10^(i-7) to 10^(i-6) has 2^i values of each sign, in the middles of equal parts.
var nestedCode = func() (code [256]float32) {
	values := []float64{0, 1}
	for i := range 7 {
		decade := math.Pow(10, float64(i-6))
		parts := 1 << i
		for j := range parts {
			v := decade * (0.1 + 0.9*(float64(j)+0.5)/float64(parts))
			values = append(values, v, -v)
		}
	}
	slices.Sort(values)
	for i, v := range values {
		code[i] = float32(v)
	}
	return code
}()

// encodeNested quantises the scales of NF4 blocks to 8 bits: their mean is taken
// off, and what is left is coded in blocks of nestedBlock by its largest magnitude,
// nested. The scale i decodes to nestedCode[codes[i]]*nested[i/nestedBlock] + offset.
func encodeNested(codes []byte, nested, absmax []float32) (offset float32) {
	var sum float64
	for _, a := range absmax {
		sum += float64(a)
	}
	offset = float32(sum / max(1, float64(len(absmax))))
	var rest [nestedBlock]float32
	for b := range nested {
		begin := b * nestedBlock
		part := absmax[begin:min(begin+nestedBlock, len(absmax))]
		for i, a := range part {
			rest[i] = a - offset
		}
		nested[b] = largest(rest[:len(part)])
		for i, r := range rest[:len(part)] {
			codes[begin+i] = nearestNested(r, nested[b])
		}
	}
	return offset
}

// nearestNested returns the code nearest to r/most.
func nearestNested(r, most float32) byte {
	x := float32(0)
	if most >= smallestNormal {
		x = r / most
	}
	i := sort.Search(255, func(i int) bool { return nestedCode[i] >= x })
	if i > 0 && x-nestedCode[i-1] <= nestedCode[i]-x {
		i--
	}
	return byte(i)
}

// smallestNormal is the least scale: a value divided by a smaller one could be out
// of range. Weights that small count as zeros.
const smallestNormal = 0x1p-126

// largest returns the largest magnitude in w; NaN if there is one. The bits of
// magnitudes are ordered as the magnitudes are, NaN last.
func largest(w []float32) float32 {
	var most uint32
	for _, v := range w {
		most = max(most, math.Float32bits(v)&^(1<<31))
	}
	return math.Float32frombits(most)
}
