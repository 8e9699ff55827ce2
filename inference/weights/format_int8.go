package weights

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"gimbal/inference/device"
)

// int8Rows is bitsandbytes' INT8 (https://github.com/bitsandbytes-foundation/bitsandbytes):
// X.weight is I8, X.SCB the largest magnitude of every row, 127 times its scale, and
// X.weight_format, if it is there, must be 0.
type int8Rows struct{}

func (int8Rows) name() Format { return INT8 }

func (int8Rows) detect(s *Store, name string) bool { return s.Has(scbName(name)) && s.Has(name) }

func (int8Rows) sides(name string) []string { return []string{scbName(name), weightFormatName(name)} }

func scbName(name string) string { return strings.TrimSuffix(name, "weight") + "SCB" }
func weightFormatName(name string) string {
	return strings.TrimSuffix(name, "weight") + "weight_format"
}

func (int8Rows) shape(s *Store, name string) []int { return s.tensors[name].shape }

func (int8Rows) load(l *Loader, name string, shape []int) device.Weight {
	t, ok := l.tensor(name)
	scb, ok2 := l.tensor(scbName(name))
	if !ok || !ok2 || !l.rowMajor(name) {
		return device.Weight{}
	}
	if t.DType != device.I8 {
		return l.fail(name, "dtype", t.DType.String(), "I8")
	}
	if len(t.Shape) != 2 || t.Bytes() == 0 || !fits(t.Shape, shape) {
		return l.fail(name, "shape", fmt.Sprint(t.Shape), shapeText(shape))
	}
	var scale []float32
	var err error
	if !l.dev.Info().Dry {
		scale, err = scb.Float32s()
	}
	if rows, _ := elements(scb.Shape); err != nil || rows != t.Shape[0] {
		return l.fail(scb.Name, "contents", fmt.Sprintf("%v %v", scb.DType, scb.Shape), fmt.Sprintf("%d numbers in F32", t.Shape[0]))
	}
	for i := range scale {
		scale[i] /= 127
	}
	w := device.Weight{Format: device.INT8, Data: l.mapped(t, t.Shape[0], t.Shape[1]), Out: t.Shape[0], In: t.Shape[1], Scale: l.row(scb.Name, t.Shape[0], scale)}
	if w.Data.IsZero() || w.Scale.IsZero() {
		return device.Weight{}
	}
	return w
}

// rowMajor checks that the INT8 weight called name is not in one of the orders
// that old versions of bitsandbytes kept for some GPUs.
func (l *Loader) rowMajor(name string) bool {
	order := weightFormatName(name)
	if !l.store.Has(order) {
		return true
	}
	t, ok := l.tensor(order)
	if i := slices.IndexFunc(t.Data, func(b byte) bool { return b != 0 }); i >= 0 {
		l.fail(order, "contents", fmt.Sprint(t.Data[i]), "0, row by row")
		return false
	}
	return ok
}

func (int8Rows) rows(s *Store, t Tensor, first, n int) ([]float32, error) {
	scb, err := s.Values(scbName(t.Name))
	if err != nil {
		return nil, err
	}
	if len(t.Shape) != 2 || len(scb) != t.Shape[0] {
		return nil, s.fault(t.Name, "shape", fmt.Sprint(t.Shape), fmt.Sprintf("[%d any]", len(scb)))
	}
	cols := t.Shape[1]
	out := make([]float32, n*cols)
	for i := range out {
		out[i] = float32(int8(t.Data[first*cols+i])) * (scb[first+i/cols] / 127)
	}
	return out, nil
}

func (int8Rows) plan(t Tensor, _ Quant) []Tensor {
	return []Tensor{
		{Name: scbName(t.Name), DType: device.F32, Shape: t.Shape[:1]},
		{Name: t.Name, DType: device.I8, Shape: t.Shape},
		{Name: weightFormatName(t.Name), DType: device.U8, Data: []byte{0}},
	}
}

func (int8Rows) encode(ctx context.Context, b *buffers, t Tensor, _ Quant) ([][]byte, error) {
	b.codes, b.absmax = resize(b.codes, t.Shape[0]*t.Shape[1]), resize(b.absmax, t.Shape[0])
	err := encodeINT8Tensor(ctx, b.codes, b.absmax, t)
	return [][]byte{device.Bytes(b.absmax), b.codes, {0}}, err
}
