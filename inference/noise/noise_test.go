package noise_test

import (
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gimbal/inference/golden"
	"gimbal/inference/noise"
)

// bound is the absolute error that the reference cases allow.
const bound = 1e-6

func check(t *testing.T, what string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	var worst float64
	for i := range want {
		worst = max(worst, math.Abs(float64(got[i])-float64(want[i])))
	}
	t.Logf("%s: largest difference %.3g", what, worst)
	if !(worst <= bound) {
		t.Errorf("%s: differs by %.3g, want at most %g", what, worst, bound)
	}
}

func draw(g noise.Generator, n int) []float32 {
	x := make([]float32, n)
	g.Normal(x)
	return x
}

// drawName matches the tensors that are draws in a row of one generator: the first, a
// second of the same size, and further ones of few values.
var drawName = regexp.MustCompile(`^(cuda|cpu)_seed(\d+)(_first|_second|_then_(\d+))?$`)

func TestReference(t *testing.T) {
	for _, c := range golden.Cases(t, "torch_randn") {
		var s struct {
			BigShape        []int  `json:"big_shape"`
			BigSeed         uint64 `json:"big_seed"`
			Multiprocessors int    `json:"multiprocessors"`
		}
		c.Scalars(t, &s)
		generators := map[string]noise.Generator{}
		for _, name := range inOrder(c.Names()) {
			m := drawName.FindStringSubmatch(name)
			id := m[1] + m[2]
			if generators[id] == nil {
				seed, err := strconv.ParseUint(m[2], 10, 64)
				if err != nil {
					t.Fatal(err)
				}
				generators[id] = noise.NewCPU(seed)
				if m[1] == "cuda" {
					generators[id] = noise.NewCUDA(seed, s.Multiprocessors)
				}
			}
			want, _ := c.F32(t, name)
			check(t, name, draw(generators[id], len(want)), want)
		}
		if len(generators) < 2 {
			t.Errorf("%s holds draws of %d generators, want CUDA's and the CPU's", c.Name, len(generators))
		}

		n := 1
		for _, d := range s.BigShape {
			n *= d
		}
		big := draw(noise.NewCUDA(s.BigSeed, s.Multiprocessors), n)
		for _, name := range c.Names() {
			every, ok := strings.CutPrefix(name, "cuda_big_every_")
			if !ok {
				continue
			}
			stride, err := strconv.Atoi(strings.TrimRight(every, "stndrh"))
			if err != nil {
				t.Fatalf("tensor %s: %v", name, err)
			}
			want, _ := c.F32(t, name)
			var got []float32
			for i := 0; i < n; i += stride {
				got = append(got, big[i])
			}
			check(t, name, got, want)
		}
	}
}

// inOrder returns the names that drawName matches in the order of the draws.
func inOrder(names []string) []string {
	rank := func(name string) int {
		m := drawName.FindStringSubmatch(name)
		count, _ := strconv.Atoi(m[4])
		return map[string]int{"": 0, "_first": 0, "_second": 1}[m[3]] + count
	}
	names = slices.DeleteFunc(names, func(name string) bool { return !drawName.MatchString(name) })
	slices.SortStableFunc(names, func(a, b string) int { return rank(a) - rank(b) })
	return names
}

func TestEndToEndNoise(t *testing.T) {
	for _, c := range golden.Cases(t, "e2e_") {
		var s struct {
			Seed uint64 `json:"seed"`
		}
		c.Scalars(t, &s)
		want, _ := c.F32(t, "noise")
		check(t, c.Name, draw(noise.NewCPU(s.Seed), len(want)), want)
	}
}

// TestSeeds checks that the CPU generator keeps the low 32 bits of a seed, and CUDA's all 64.
func TestSeeds(t *testing.T) {
	if !slices.Equal(draw(noise.NewCPU(7), 40), draw(noise.NewCPU(7+1<<32), 40)) {
		t.Error("seeds that agree in their low 32 bits differ")
	}
	if slices.Equal(draw(noise.NewCUDA(7, 132), 40), draw(noise.NewCUDA(7+1<<32, 132), 40)) {
		t.Error("CUDA ignores the high half of the seed")
	}
}

func TestMultiprocessors(t *testing.T) {
	const small, large = 3, 132
	for n, same := range map[int]bool{small * 2048: true, small*2048*4 + 256: false} {
		equal := slices.Equal(draw(noise.NewCUDA(1, small), n), draw(noise.NewCUDA(1, large), n))
		if equal != same {
			t.Errorf("%d values: equal on GPUs of %d and %d multiprocessors is %v, want %v", n, small, large, equal, same)
		}
	}
}

func BenchmarkCUDA(b *testing.B) {
	x := make([]float32, 16*21*60*104)
	b.SetBytes(int64(4 * len(x)))
	for b.Loop() {
		noise.NewCUDA(42, noise.DefaultMultiprocessors).Normal(x)
	}
}
