package weights

import (
	"fmt"
	"strings"

	"gimbal/inference/device"
)

// blocks are the formats of GGUF: a tensor's rows are blocks that hold their own scales.
type blocks struct{ format device.Format }

func (b blocks) name() Format { return Format(strings.ToLower(b.format.String())) }

func (b blocks) detect(s *Store, name string) bool {
	e := s.tensors[name]
	return e != nil && e.block == b.format
}

func (blocks) sides(string) []string { return nil }

func (blocks) shape(s *Store, name string) []int { return s.tensors[name].shape }

func (b blocks) load(l *Loader, name string, shape []int) device.Weight {
	t, ok := l.tensor(name)
	if !ok {
		return device.Weight{}
	}
	found := asMatrix(b.shape(l.store, name), shape)
	if len(found) != 2 || t.Bytes() == 0 || !fits(found, shape) {
		return l.fail(name, "shape", fmt.Sprint(b.shape(l.store, name)), shapeText(shape))
	}
	w := device.Weight{Format: b.format, Data: l.mapped(t, t.Shape[0], t.Shape[1]), Out: found[0], In: found[1]}
	if w.Data.IsZero() {
		return device.Weight{}
	}
	return w
}

func (b blocks) rows(s *Store, t Tensor, first, n int) ([]float32, error) {
	values, size := b.format.Block()
	cols := t.Shape[1] / size * values
	if len(b.shape(s, t.Name)) == 1 { // one row of blocks
		all := make([]float32, cols)
		Unpack(all, t.Data, b.format)
		return all[first : first+n], nil
	}
	out := make([]float32, n*cols)
	Unpack(out, t.Data[first*t.Shape[1]:(first+n)*t.Shape[1]], b.format)
	return out, nil
}
