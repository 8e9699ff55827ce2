package noise

import (
	"fmt"
	"math"
	"math/bits"
)

// DefaultMultiprocessors is the number of multiprocessors of an H100 or H200 (SXM), on
// which the reference runs.
// A draw of at most n*2048 values is the same on all GPUs of n or more multiprocessors.
const DefaultMultiprocessors = 132

// torch launches blocks of blockSize threads, at most as many as fit the GPU at
// residentThreads a multiprocessor, and every thread makes unroll values a round.
const (
	blockSize       = 256
	residentThreads = 2048
	unroll          = 4
)

// CUDA draws as torch's CUDA generator does: Philox4x32-10 with one subsequence a
// thread, and curand_normal4.
//
// Sources: torch aten/src/ATen/native/cuda/DistributionTemplates.h (layout and
// offsets), curand_philox4x32_x.h and curand_normal.h, and Salmon et al., Parallel
// Random Numbers: As Easy as 1, 2, 3 (2011).
type CUDA struct {
	seed, offset    uint64
	multiprocessors int
}

// NewCUDA returns the generator of a GPU with the given number of multiprocessors,
// DefaultMultiprocessors if in doubt, after manual_seed(seed). It panics if that number
// is not positive.
func NewCUDA(seed uint64, multiprocessors int) *CUDA {
	if multiprocessors < 1 {
		panic(fmt.Sprintf("noise: a GPU of %d multiprocessors", multiprocessors))
	}
	return &CUDA{seed: seed, multiprocessors: multiprocessors}
}

// Normal implements Generator. Draws of 2 GiB or more, which torch splits, are not
// reproduced.
func (g *CUDA) Normal(dst []float32) {
	if len(dst) == 0 {
		return
	}
	blocks := min((len(dst)+blockSize-1)/blockSize, g.multiprocessors*(residentThreads/blockSize))
	threads := blocks * blockSize
	rounds := (len(dst)-1)/(threads*unroll) + 1
	for round := range rounds {
		counter := g.offset/4 + uint64(round)
		first := round * threads * unroll
		for thread := range min(threads, len(dst)-first) {
			values := normal4(philox(counter, uint64(thread), g.seed))
			for i, v := range values {
				if at := first + i*threads + thread; at < len(dst) {
					dst[at] = v
				}
			}
		}
	}
	g.offset += uint64(rounds) * unroll
}

// philox is Philox4x32-10: block number counter of a subsequence.
func philox(counter, subsequence, key uint64) [4]uint32 {
	c := [4]uint32{uint32(counter), uint32(counter >> 32), uint32(subsequence), uint32(subsequence >> 32)}
	k0, k1 := uint32(key), uint32(key>>32)
	for range 10 {
		hi0, lo0 := bits.Mul32(0xD2511F53, c[0])
		hi1, lo1 := bits.Mul32(0xCD9E8D57, c[2])
		c = [4]uint32{hi1 ^ c[1] ^ k0, lo1, hi0 ^ c[3] ^ k1, lo0}
		k0 += 0x9E3779B9
		k1 += 0xBB67AE85
	}
	return c
}

// normal4 is curand_normal4: two Box-Muller pairs in float32.
func normal4(x [4]uint32) (z [4]float32) {
	z[0], z[1] = boxMuller(x[0], x[1])
	z[2], z[3] = boxMuller(x[2], x[3])
	return z
}

func boxMuller(x, y uint32) (sin, cos float32) {
	const scale = 1.0 / (1 << 32)
	const scale2Pi = float32(2 * math.Pi * scale)
	u := fma(float32(x), scale, scale/2)
	v := fma(float32(y), scale2Pi, scale2Pi/2)
	r := float32(math.Sqrt(float64(-2 * float32(math.Log(float64(u))))))
	sin, cos = sincos(v)
	return sin * r, cos * r
}

// fma is a*b + c as nvcc fuses it: a product of two float32 is exact in float64.
func fma(a, b, c float32) float32 { return float32(float64(a)*float64(b) + float64(c)) }
