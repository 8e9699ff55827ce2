package noise

import "math"

// CPU draws as torch's CPU generator does: mt19937, and Box-Muller over blocks of 16
// values or, for fewer than 16, one by one in float64.
//
// Sources: torch aten/src/ATen/native/cpu/DistributionTemplates.h (normal_fill),
// aten/src/ATen/core/DistributionsHelper.h (normal_distribution).
type CPU struct {
	seed      uint64
	mt        mt19937
	cached    float64 // the sine of the last pair, if hasCached
	hasCached bool
}

// NewCPU returns the generator after manual_seed(seed). As in torch, seeds that agree
// in their low 32 bits give the same numbers.
func NewCPU(seed uint64) *CPU {
	g := &CPU{seed: seed}
	g.mt.init(uint32(seed))
	return g
}

// Normal implements Generator.
func (g *CPU) Normal(dst []float32) {
	if len(dst) < 16 {
		for i := range dst {
			dst[i] = float32(g.normal())
		}
		return
	}
	for i := range dst {
		dst[i] = g.uniform()
	}
	for i := 0; i+16 <= len(dst); i += 16 {
		boxMuller16(dst[i : i+16])
	}
	if len(dst)%16 != 0 { // the last 16 values are drawn again, some of them finished ones
		tail := dst[len(dst)-16:]
		for i := range tail {
			tail[i] = g.uniform()
		}
		boxMuller16(tail)
	}
}

// boxMuller16 turns 16 uniform values into normal ones: values j and j+8 are a pair.
func boxMuller16(x []float32) {
	for j := range 8 {
		radius := float32(math.Sqrt(float64(-2 * float32(math.Log(float64(1-x[j]))))))
		sin, cos := math.Sincos(float64(float32(2*math.Pi) * x[j+8]))
		x[j], x[j+8] = radius*float32(cos), radius*float32(sin)
	}
}

func (g *CPU) uniform() float32 { return float32(g.mt.next()&(1<<24-1)) / (1 << 24) }

func (g *CPU) uniform64() float64 {
	hi := uint64(g.mt.next())
	return float64((hi<<32|uint64(g.mt.next()))&(1<<53-1)) / (1 << 53)
}

func (g *CPU) normal() float64 {
	if g.hasCached {
		g.hasCached = false
		return g.cached
	}
	u1, u2 := g.uniform64(), g.uniform64()
	r := math.Sqrt(-2 * math.Log1p(-u2))
	sin, cos := math.Sincos(2 * math.Pi * u1)
	g.cached, g.hasCached = r*sin, true
	return r * cos
}

const (
	mtWords = 624
	mtShift = 397
)

// mt19937 is the Mersenne twister of Matsumoto and Nishimura (1998).
type mt19937 struct {
	words [mtWords]uint32
	used  int
}

func (m *mt19937) init(seed uint32) {
	m.words[0] = seed
	for i := 1; i < mtWords; i++ {
		seed = 1812433253*(seed^seed>>30) + uint32(i)
		m.words[i] = seed
	}
	m.used = mtWords
}

func (m *mt19937) next() uint32 {
	if m.used == mtWords {
		m.twist()
	}
	y := m.words[m.used]
	m.used++
	y ^= y >> 11
	y ^= y << 7 & 0x9d2c5680
	y ^= y << 15 & 0xefc60000
	return y ^ y>>18
}

func (m *mt19937) twist() {
	for i := range mtWords {
		y := m.words[i]&0x80000000 | m.words[(i+1)%mtWords]&0x7fffffff
		m.words[i] = m.words[(i+mtShift)%mtWords] ^ y>>1 ^ (y&1)*0x9908b0df
	}
	m.used = 0
}
