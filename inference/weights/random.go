package weights

import (
	"context"
	"io"
	"math"
	"math/rand/v2"
	"strings"

	"gimbal/inference/device"
)

// Random returns the table's tensors with normal values, always the same, by which what
// goes through the model keeps its size. They are of type F32 or BF16. Writing ends
// with ctx.
func (t Table) Random(ctx context.Context, dtype device.DType) []Source {
	list := make([]Source, len(t))
	for i, spec := range t {
		list[i] = Source{spec.Name, dtype, spec.Shape, func(to io.Writer) error {
			return spec.writeRandom(ctx, to, dtype, uint64(i))
		}}
	}
	return list
}

// randomValues are the values drawn once for a tensor and then repeated: an odd number, so
// that no row of a matrix is like the one above it.
const randomValues = 1<<18 + 1

func (s Spec) writeRandom(ctx context.Context, to io.Writer, dtype device.DType, seed uint64) error {
	left := int(device.Desc{DType: dtype, Shape: s.Shape}.Bytes())
	n := min(left/dtype.Size(), randomValues)
	mean, deviation := s.normal()
	random := rand.New(rand.NewPCG(seed, uint64(n)))
	block := make([]byte, 0, n*dtype.Size())
	for range n {
		bits := math.Float32bits(float32(mean + deviation*random.NormFloat64()))
		if dtype == device.F32 {
			block = append(block, byte(bits), byte(bits>>8))
		}
		block = append(block, byte(bits>>16), byte(bits>>24))
	}
	for ; left > 0; left -= len(block) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, err := to.Write(block[:min(left, len(block))]); err != nil {
			return err
		}
	}
	return nil
}

// normal returns mean and deviation of a tensor's values. A camera's scales multiply up
// over the blocks, and stay small.
func (s Spec) normal() (mean, deviation float64) {
	switch s.Role {
	case Norm:
		return 1, 0.1
	case Modulation:
		return 0, 0.1
	case Bias:
		return 0, 0.02
	}
	deviation = 1 / math.Sqrt(float64(device.Desc{Shape: s.Shape[1:]}.Len()))
	if strings.HasSuffix(s.Name, "cam_scale_layer.weight") {
		deviation *= 0.02
	}
	return 0, deviation
}
