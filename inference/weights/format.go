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
	FP8   Format = "fp8"  // 8-bit floats, a scale per row
	BF16  Format = "bf16" // dense BF16, made of F32
)

// The formats of GGUF have its names in lower case, such as "q4_k".

// OnDevice returns what devices call the format.
func (f Format) OnDevice() device.Format {
	for _, known := range formats {
		if b, ok := known.(blocks); ok && b.name() == f {
			return b.format
		}
	}
	return map[Format]device.Format{INT8: device.INT8, NF4: device.NF4, FP8: device.FP8}[f]
}

// formats are looked through in this order for one that a weight is stored in.
var formats = []format{
	nf4{}, int8Rows{}, fp8Scaled, int8Scaled, foreignQuant{},
	blocks{device.Q8_0}, blocks{device.Q4_0}, blocks{device.Q4_1}, blocks{device.Q5_0}, blocks{device.Q5_1},
	blocks{device.Q2_K}, blocks{device.Q3_K}, blocks{device.Q4_K}, blocks{device.Q5_K}, blocks{device.Q6_K},
	blocks{device.IQ4_NL}, blocks{device.IQ4_XS}, bf16{},
	dense{},
}

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
	// rows widens n rows of the weight t from row first on, which are there.
	rows(s *Store, t Tensor, first, n int) ([]float32, error)
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

// Quantised returns the format of the store's quantised weights, Dense if it has none; of
// several, that of the most bytes.
func (s *Store) Quantised() Format {
	bytes := map[Format]int64{}
	most := Dense
	for _, name := range s.names {
		if f := s.Format(name); f != Dense {
			if bytes[f] += s.tensors[name].size; bytes[f] > bytes[most] {
				most = f
			}
		}
	}
	return most
}

// asMatrix flattens the shape of a convolution's weight if a matrix is wanted.
func asMatrix(shape, want []int) []int {
	if n, _ := elements(shape); n > 0 && len(want) == 2 && len(shape) > 2 {
		return []int{shape[0], n / shape[0]}
	}
	return shape
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
