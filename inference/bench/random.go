package bench

import (
	"context"
	"io"
	"math"
	"math/rand/v2"

	"gimbal/inference/device"
	"gimbal/inference/weights"
)

// tensors collects tensors of random values, to be written to a file.
type tensors struct {
	ctx  context.Context // ends the writing
	list []weights.Source
}

// blockValues are the normal values drawn once for a tensor and then repeated: an
// odd number, so that no row of a matrix is like the one above it.
const blockValues = 1<<18 + 1

// add adds a tensor of normal values of the given mean and deviation.
func (t *tensors) add(name string, dtype device.DType, mean, deviation float64, shape ...int) {
	seed := uint64(len(t.list))
	t.list = append(t.list, weights.Source{Name: name, DType: dtype, Shape: shape, Write: func(to io.Writer) error {
		left := int(device.Desc{DType: dtype, Shape: shape}.Bytes())
		block := randomBlock(dtype, mean, deviation, min(left/dtype.Size(), blockValues), seed)
		for left > 0 {
			if err := t.ctx.Err(); err != nil {
				return err
			}
			n, err := to.Write(block[:min(left, len(block))])
			if err != nil {
				return err
			}
			left -= n
		}
		return nil
	}})
}

// model adds the tensors of a model. Their values keep the size of what goes through it.
func (t *tensors) model(table weights.Table, dtype device.DType) {
	for _, spec := range table {
		mean, deviation := spec.Normal()
		t.add(spec.Name, dtype, mean, deviation, spec.Shape...)
	}
}

// randomBlock returns the little-endian bytes of n values of type F32 or BF16.
func randomBlock(dtype device.DType, mean, deviation float64, n int, seed uint64) []byte {
	random := rand.New(rand.NewPCG(seed, uint64(n)))
	block := make([]byte, 0, n*dtype.Size())
	for range n {
		bits := math.Float32bits(float32(mean + deviation*random.NormFloat64()))
		if dtype == device.F32 {
			block = append(block, byte(bits), byte(bits>>8))
		}
		block = append(block, byte(bits>>16), byte(bits>>24))
	}
	return block
}
