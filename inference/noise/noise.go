package noise

import "fmt"

// Generator draws normal numbers in torch's order. It is not safe for concurrent use.
type Generator interface {
	// Normal fills dst with one draw, as torch.randn of len(dst) elements would.
	Normal(dst []float32)
}

// The names of the generators.
const (
	KindCUDA = "cuda"
	KindCPU  = "cpu"
)

// New returns the generator of a name, from a seed. It panics for another name.
func New(kind string, seed uint64) Generator {
	switch kind {
	case KindCUDA:
		return NewCUDA(seed, DefaultMultiprocessors)
	case KindCPU:
		return NewCPU(seed)
	}
	panic(fmt.Sprintf("noise: there is no generator %q", kind))
}
