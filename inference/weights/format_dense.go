package weights

import (
	"fmt"

	"gimbal/inference/device"
)

// dense is a tensor of a float type, whatever is beside it.
type dense struct{}

func (dense) name() Format               { return Dense }
func (dense) detect(*Store, string) bool { return true }
func (dense) sides(string) []string      { return nil }

func (dense) shape(s *Store, name string) []int {
	if e := s.tensors[name]; e != nil {
		return e.shape
	}
	return nil
}

// load maps the tensor without a copy. A convolution's weight has a row per output.
func (dense) load(l *Loader, name string, shape []int) device.Weight {
	t, ok := l.tensor(name)
	if !ok {
		return device.Weight{}
	}
	if !isFloat(t.DType) {
		return l.fail(name, "dtype", t.DType.String(), floatTypes)
	}
	n, _ := elements(t.Shape)
	found := asMatrix(t.Shape, shape)
	if n == 0 || !fits(found, shape) {
		return l.fail(name, "shape", fmt.Sprint(t.Shape), shapeText(shape))
	}
	return device.DenseWeight(l.mapped(t, found[0], n/found[0]))
}

func (dense) rows(s *Store, t Tensor, first, n int) ([]float32, error) {
	cols, _ := elements(t.Shape)
	if len(t.Shape) > 0 {
		cols /= max(1, t.Shape[0])
	}
	size := cols * t.DType.Size()
	out := make([]float32, n*cols)
	if !Widen(out, t.Data[first*size:], t.DType) {
		return nil, s.fault(t.Name, "dtype", t.DType.String(), floatTypes)
	}
	return out, nil
}
