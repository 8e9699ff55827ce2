package weights

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"gimbal/inference/device"
)

// Format says how the weight of a linear layer is stored.
type Format string

// The formats. To add one: a file format_NAME.go and an entry of formats.
const (
	Dense Format = ""     // the values, of a float type
	INT8  Format = "int8" // 8 bits, a scale per row
	NF4   Format = "nf4"  // 4 bits, a scale per block of values
)

// OnDevice returns what devices call the format.
func (f Format) OnDevice() device.Format {
	return map[Format]device.Format{INT8: device.INT8, NF4: device.NF4}[f]
}

// formats are looked through in this order for one that a weight is stored in.
var formats = []format{nf4{}, int8Rows{}, dense{}}

// format recognises a weight by the tensors beside it, and loads it.
type format interface {
	name() Format
	// detect reports whether the weight called name is stored so.
	detect(s *Store, name string) bool
	// sides names the tensors that may be beside it.
	sides(name string) []string
	// shape returns the shape that the model sees, nil if the weight cannot be read.
	shape(s *Store, name string) []int
	// load puts a weight of a wanted shape on l's device, or notes in l why it cannot.
	load(l *Loader, name string, shape []int) device.Weight
}

// encoder is a format that dense weights can be converted to.
type encoder interface {
	format
	// plan lists the tensors that a weight becomes, without data but for what a dry
	// device looks at and what is the same for all weights.
	plan(t Tensor, q Quant) []Tensor
	// encode returns the data of these tensors, valid until the next call.
	encode(ctx context.Context, b *buffers, t Tensor, q Quant) ([][]byte, error)
}

// format returns that of the weight called name.
func (s *Store) format(name string) format {
	return formats[slices.IndexFunc(formats, func(f format) bool { return f.detect(s, name) })]
}

// Format returns the format of the weight called name.
func (s *Store) Format(name string) Format { return s.format(name).name() }

// Quantised returns the format of the store's quantised weights, Dense if it has none.
func (s *Store) Quantised() Format {
	for _, name := range s.names {
		if f := s.Format(name); f != Dense {
			return f
		}
	}
	return Dense
}

// fits reports whether a tensor has a wanted shape, in which 0 is any size.
func fits(found, want []int) bool {
	return slices.EqualFunc(found, want, func(f, w int) bool { return f == w || w == 0 })
}

// shapeText writes a wanted shape.
func shapeText(shape []int) string {
	words := make([]string, len(shape))
	for i, n := range shape {
		words[i] = sizeText(n)
	}
	return "[" + strings.Join(words, " ") + "]"
}

// sizeText writes a wanted size.
func sizeText(n int) string {
	if n == 0 {
		return "any"
	}
	return strconv.Itoa(n)
}
