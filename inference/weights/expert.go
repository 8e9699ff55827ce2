package weights

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"slices"
	"strings"

	"gimbal/inference/device"
)

// kept are the linear layers that stay as they are: those that embed the latent and
// the timestep, and the head. They are 0.2 % of the weights, and all that goes into
// the model or comes out of it passes through them.
var kept = []string{"patch_embedding.", "time_embedding.", "head."}

// quantises reports whether t of an expert is quantised: the matrices of linear
// layers, but for the kept ones. Norms, modulations and biases are no matrices.
func quantises(t Tensor) bool {
	if !strings.HasSuffix(t.Name, ".weight") || len(t.Shape) != 2 || t.Shape[0]*t.Shape[1] == 0 || t.Shape[0]*t.Shape[1]%2 != 0 {
		return false
	}
	switch t.DType {
	case device.F32, device.F16, device.BF16, device.F8E4M3:
		return !slices.ContainsFunc(kept, func(prefix string) bool { return strings.HasPrefix(t.Name, prefix) })
	}
	return false
}

// writer makes the tensors of a safetensors file that holds an expert, quantised,
// in bitsandbytes' layout: one layer after the other, in the same memory.
type writer struct {
	ctx         context.Context
	o           Quant
	progress    func(done, total int64)
	done, total int64
	tensors     []Source // to be written in this order, once

	// Of the layer at hand.
	codes  []byte
	absmax []float32
	codes8 []byte // of absmax
	nested []float32
	state  []byte // JSON
}

// newWriter plans the file; progress is told how many bytes of source are done.
func newWriter(ctx context.Context, source *Store, o Quant, progress func(done, total int64)) (*writer, error) {
	w := &writer{ctx: ctx, o: o, progress: progress}
	var tensors []Tensor
	for _, name := range source.Names() {
		t, err := source.Tensor(name)
		if err != nil {
			return nil, err
		}
		tensors = append(tensors, t)
		w.total += int64(len(t.Data))
	}
	w.tensors = w.plan(tensors)
	return w, nil
}

// size returns the bytes of all tensors of the file.
func (w *writer) size() (bytes int64) {
	for _, t := range w.tensors {
		bytes += device.Desc{DType: t.DType, Shape: t.Shape}.Bytes()
	}
	return bytes
}

// plan lists the tensors of the file, in an order that aligns each to its type
// unless sizes are odd. The first of a layer's quantises it when it is written.
func (w *writer) plan(tensors []Tensor) []Source {
	var layers, others, formats []Source
	for _, t := range tensors {
		switch {
		case !quantises(t):
			others = append(others, w.finishing(t.Source(), t))
		case w.o.Format == NF4:
			layers = append(layers, w.nf4(t)...)
		default:
			layers = append(layers, w.int8(t)...)
			format := strings.TrimSuffix(t.Name, "weight") + "weight_format" // 0: row by row
			formats = append(formats, later(format, device.U8, nil, func() []byte { return []byte{0} }))
		}
	}
	slices.SortStableFunc(others, func(a, b Source) int { return b.DType.Size() - a.DType.Size() })
	return slices.Concat(layers, others, formats)
}

// later is a tensor whose bytes are ready when its turn comes.
func later(name string, dtype device.DType, shape []int, data func() []byte) Source {
	return Source{Name: name, DType: dtype, Shape: shape, Write: func(to io.Writer) error {
		_, err := to.Write(data())
		return err
	}}
}

// finishing adds to s that t is done when s is written.
func (w *writer) finishing(s Source, t Tensor) Source {
	write := s.Write
	s.Write = func(to io.Writer) error {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		if err := write(to); err != nil {
			return err
		}
		w.done += int64(len(t.Data))
		w.progress(w.done, w.total)
		return nil
	}
	return s
}

// starting adds to s that first comes before s is written.
func starting(s Source, first func() error) Source {
	write := s.Write
	s.Write = func(to io.Writer) error {
		if err := first(); err != nil {
			return err
		}
		return write(to)
	}
	return s
}

// int8 lists the tensors of a layer in INT8.
func (w *writer) int8(t Tensor) []Source {
	rows := t.Shape[0]
	encode := func() error {
		w.codes, w.absmax = resize(w.codes, rows*t.Shape[1]), resize(w.absmax, rows)
		if err := INT8Tensor(w.ctx, w.codes, w.absmax, t); err != nil {
			return err
		}
		return checkFinite(t, w.absmax)
	}
	scb := later(strings.TrimSuffix(t.Name, "weight")+"SCB", device.F32, []int{rows}, func() []byte { return device.Bytes(w.absmax) })
	codes := later(t.Name, device.I8, t.Shape, func() []byte { return w.codes })
	return []Source{starting(scb, encode), w.finishing(codes, t)}
}

// nf4 lists the tensors of a layer in NF4.
func (w *writer) nf4(t Tensor) []Source {
	n := t.Shape[0] * t.Shape[1]
	codes, blocks := NF4Len(n, NF4Block)
	nested := (blocks + NestedBlock - 1) / NestedBlock
	encode := func() error {
		w.codes, w.absmax = resize(w.codes, codes), resize(w.absmax, blocks)
		if err := NF4Tensor(w.ctx, w.codes, w.absmax, t); err != nil {
			return err
		}
		if err := checkFinite(t, w.absmax); err != nil {
			return err
		}
		state := nf4State(t, w.o)
		if w.o.Nested {
			w.codes8, w.nested = resize(w.codes8, blocks), resize(w.nested, nested)
			state.NestedOffset = EncodeNested(w.codes8, w.nested, w.absmax)
		}
		return w.setState(state)
	}
	f32 := func(part string, shape int, values func() []float32) Source {
		return later(t.Name+"."+part, device.F32, []int{shape}, func() []byte { return device.Bytes(values()) })
	}
	layer := []Source{f32("quant_map", len(NF4Code), func() []float32 { return NF4Code[:] })}
	if w.o.Nested {
		layer = append(layer,
			f32("nested_quant_map", len(NestedCode), func() []float32 { return NestedCode[:] }),
			f32("nested_absmax", nested, func() []float32 { return w.nested }),
			later(t.Name+".absmax", device.U8, []int{blocks}, func() []byte { return w.codes8 }))
	} else {
		layer = append(layer, f32("absmax", blocks, func() []float32 { return w.absmax }))
	}
	layer[0] = starting(layer[0], encode)
	return append(layer,
		later(t.Name+stateSuffix, device.U8, []int{stateSize}, func() []byte { return w.state }),
		w.finishing(later(t.Name, device.U8, []int{codes, 1}, func() []byte { return w.codes }), t))
}

// stateSuffix is what the name of a layer's JSON text ends in.
const stateSuffix = ".quant_state.bitsandbytes__nf4"

// nf4State describes t quantised as o says, but for the offset of its scales.
func nf4State(t Tensor, o Quant) NF4State {
	s := NF4State{QuantType: string(NF4), BlockSize: NF4Block, DType: torchType(t.DType), Shape: t.Shape}
	if o.Nested {
		s.NestedBlock, s.NestedDType = NestedBlock, "float32"
	}
	return s
}

// stateSize is the room for a layer's JSON text, whose length is not known before
// its turn; blanks fill it.
const stateSize = 256

func (w *writer) setState(s NF4State) error {
	text, err := json.Marshal(s)
	w.state = append(text, bytes.Repeat([]byte{' '}, max(0, stateSize-len(text)))...)
	return err
}

// torchType returns torch's name of a float type.
func torchType(d device.DType) string {
	switch d {
	case device.F32:
		return "float32"
	case device.F16:
		return "float16"
	default:
		return "bfloat16" // holds the values of F8 too
	}
}

// resize returns s with n elements, whatever they are.
func resize[T any](s []T, n int) []T { return slices.Grow(s[:0], n)[:n] }
