package noise

import (
	"fmt"
	"slices"
)

// Generator draws normal numbers in torch's order. It is not safe for concurrent use.
type Generator interface {
	// Normal fills dst with one draw, as torch.randn of len(dst) elements would.
	Normal(dst []float32)
	// State returns all that is needed to go on with the next draw.
	State() State
}

// Kind names a generator.
type Kind string

// The generators.
const (
	KindCUDA Kind = "cuda"
	KindCPU  Kind = "cpu"
)

// State is the state of a generator between two draws, to be stored as JSON.
type State struct {
	Kind Kind   `json:"kind"`
	Seed uint64 `json:"seed"`

	// Of a CUDA generator: the GPU's multiprocessors and the Philox offset.
	Multiprocessors int    `json:"multiprocessors,omitempty"`
	Offset          uint64 `json:"offset,omitempty"`

	// Of a CPU generator: the words of mt19937, how many of them are used up, and
	// the second value of a pair that was not asked for yet.
	Words  []uint32 `json:"words,omitempty"`
	Used   int      `json:"used,omitempty"`
	Cached *float64 `json:"cached,omitempty"`
}

// Restore returns the generator that s was taken from.
func Restore(s State) (Generator, error) {
	switch s.Kind {
	case KindCUDA:
		if s.Multiprocessors < 1 {
			return nil, fmt.Errorf("noise: state has %d multiprocessors, expected 1 or more", s.Multiprocessors)
		}
		if s.Offset%4 != 0 {
			return nil, fmt.Errorf("noise: state has offset %d, expected a multiple of 4", s.Offset)
		}
		return &CUDA{seed: s.Seed, offset: s.Offset, multiprocessors: s.Multiprocessors}, nil
	case KindCPU:
		if len(s.Words) != mtWords || s.Used < 0 || s.Used > mtWords {
			return nil, fmt.Errorf("noise: state has %d words of mt19937 with %d used, expected %d and 0 to %d",
				len(s.Words), s.Used, mtWords, mtWords)
		}
		g := &CPU{seed: s.Seed, mt: mt19937{used: s.Used}}
		copy(g.mt.words[:], s.Words)
		if s.Cached != nil {
			g.cached, g.hasCached = *s.Cached, true
		}
		return g, nil
	}
	return nil, fmt.Errorf("noise: unknown kind of generator %q, expected one of %q", s.Kind, []Kind{KindCUDA, KindCPU})
}

// State implements Generator.
func (g *CUDA) State() State {
	return State{Kind: KindCUDA, Seed: g.seed, Multiprocessors: g.multiprocessors, Offset: g.offset}
}

// State implements Generator.
func (g *CPU) State() State {
	s := State{Kind: KindCPU, Seed: g.seed, Words: slices.Clone(g.mt.words[:]), Used: g.mt.used}
	if g.hasCached {
		cached := g.cached
		s.Cached = &cached
	}
	return s
}
