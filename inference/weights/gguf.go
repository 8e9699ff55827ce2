package weights

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"gimbal/inference/device"
)

const ggufMagic = "GGUF"

// Limits on what a GGUF file lists; the largest model has some thousand tensors.
const (
	maxGGUFTensors = 1 << 17
	maxGGUFPairs   = 1 << 16
	maxGGUFDims    = 8
)

// ggufTypes are the types of tensors by their numbers: of a type or format that is known
// here, or by name only.
var ggufTypes = map[uint32]struct {
	name   string
	dtype  device.DType
	format device.Format
}{
	0: {"F32", device.F32, 0}, 1: {"F16", device.F16, 0}, 30: {"BF16", device.BF16, 0},
	24: {"I8", device.I8, 0}, 26: {"I32", device.I32, 0}, 27: {"I64", device.I64, 0},
	2: {"Q4_0", device.U8, device.Q4_0}, 3: {"Q4_1", device.U8, device.Q4_1}, 6: {"Q5_0", device.U8, device.Q5_0},
	7: {"Q5_1", device.U8, device.Q5_1}, 8: {"Q8_0", device.U8, device.Q8_0}, 10: {"Q2_K", device.U8, device.Q2_K},
	11: {"Q3_K", device.U8, device.Q3_K}, 12: {"Q4_K", device.U8, device.Q4_K}, 13: {"Q5_K", device.U8, device.Q5_K},
	14: {"Q6_K", device.U8, device.Q6_K}, 20: {"IQ4_NL", device.U8, device.IQ4_NL}, 23: {"IQ4_XS", device.U8, device.IQ4_XS},

	9: {name: "Q8_1"}, 15: {name: "Q8_K"}, 16: {name: "IQ2_XXS"}, 17: {name: "IQ2_XS"}, 18: {name: "IQ3_XXS"}, 19: {name: "IQ1_S"},
	21: {name: "IQ3_S"}, 22: {name: "IQ2_S"}, 25: {name: "I16"}, 28: {name: "F64"}, 29: {name: "IQ1_M"}, 34: {name: "TQ1_0"},
	35: {name: "TQ2_0"}, 39: {name: "MXFP4"},
}

// The types of values.
const (
	ggufBool   = 7
	ggufString = 8
	ggufArray  = 9
)

// ggufSizes are the bytes of the values of fixed size, by their types.
var ggufSizes = map[uint32]int{0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, ggufBool: 1, 10: 8, 11: 8, 12: 8}

// ggufValue is a value of a key, as it is stored.
type ggufValue struct {
	kind uint32 // of the value, or of an array's elements
	n    int    // elements; -1 for no array
	data []byte
}

// parseGGUF reads the header of the format that
// https://github.com/ggml-org/ggml/blob/master/docs/gguf.md describes, versions 2 and 3.
func parseGGUF(file *mapping) (contents, error) {
	r := &ggufReader{file: file, rest: file.data}
	r.take(len(ggufMagic), "header")
	version, tensors, pairs := r.u32("version"), r.u64("header"), r.u64("header")
	switch {
	case r.err != nil:
		return contents{}, r.err
	case version != 2 && version != 3:
		return contents{}, &Error{file.path, "version", fmt.Sprint(version), "2 or 3, little-endian (convert the file with a newer tool)"}
	case tensors > maxGGUFTensors || pairs > maxGGUFPairs:
		return contents{}, &Error{file.path, "header", fmt.Sprintf("%d tensors and %d keys", tensors, pairs),
			fmt.Sprintf("at most %d and %d", maxGGUFTensors, maxGGUFPairs)}
	}
	c := contents{tensors: make(map[string]*entry), gguf: make(map[string]ggufValue)}
	for range pairs {
		key := r.string("key")
		value := r.value(fmt.Sprintf("key %q", key), r.u32("key"))
		if r.err != nil {
			return contents{}, r.err
		}
		c.gguf[key] = value
	}
	if n, _ := c.gguf["split.count"].int(); n > 1 {
		return contents{}, &Error{file.path, "split.count", plural(n, "part"), "one file (llama-gguf-split --merge joins them)"}
	}
	for range tensors {
		name := r.string("tensor")
		e := r.tensor(name)
		if r.err != nil {
			return contents{}, r.err
		}
		if c.tensors[name] != nil {
			return contents{}, &Error{file.path, tensorField(name, ""), "a second one of this name", "unique names"}
		}
		c.tensors[name] = e
	}
	if err := c.reshapeGGUF(file.path); err != nil {
		return contents{}, err
	}
	return c, c.placeGGUF(file, int64(len(file.data)-len(r.rest)))
}

// ggufReader reads a file from its beginning. The first error sticks.
type ggufReader struct {
	file *mapping
	rest []byte
	err  error
}

func (r *ggufReader) fail(field, found, want string) {
	if r.err == nil {
		r.err = &Error{r.file.path, field, found, want}
	}
	r.rest = nil
}

// take returns the next n bytes, zeros after an error.
func (r *ggufReader) take(n int, field string) []byte {
	if n < 0 || n > len(r.rest) {
		r.fail(field, plural(len(r.rest), "byte"), plural(n, "byte")+" (is the download complete?)")
		return make([]byte, max(0, min(n, 8)))
	}
	data := r.rest[:n]
	r.rest = r.rest[n:]
	return data
}

func (r *ggufReader) u32(field string) uint32 { return binary.LittleEndian.Uint32(r.take(4, field)) }
func (r *ggufReader) u64(field string) uint64 { return binary.LittleEndian.Uint64(r.take(8, field)) }

// size reads a number of things that are in the file.
func (r *ggufReader) size(field string) int {
	n := r.u64(field)
	if n > uint64(len(r.rest)) {
		r.fail(field, fmt.Sprintf("a length of %d", n), fmt.Sprintf("at most the %d bytes that follow (is the download complete?)", len(r.rest)))
		return 0
	}
	return int(n)
}

func (r *ggufReader) string(field string) string {
	n := r.size(field)
	if r.err != nil {
		return ""
	}
	return string(r.take(n, field))
}

func (r *ggufReader) value(field string, kind uint32) ggufValue {
	if r.err != nil {
		return ggufValue{}
	}
	from, n := r.rest, 1
	v := ggufValue{kind, -1, nil}
	if kind == ggufArray {
		v.kind = r.u32(field)
		n = r.size(field)
		v.n, from = n, r.rest
	}
	switch size, fixed := ggufSizes[v.kind]; {
	case r.err != nil:
	case fixed:
		r.take(n*size, field) // n is at most the bytes that there are: no overflow
	case v.kind == ggufString:
		for i := 0; i < n && r.err == nil; i++ {
			r.take(r.size(field), field)
		}
	default:
		r.fail(field, fmt.Sprintf("a value of type %d", v.kind), "one of the types of GGUF, and no arrays of arrays")
	}
	if r.err == nil {
		v.data = from[:len(from)-len(r.rest)]
	}
	return v
}

// tensor reads where a tensor lies, its offset still from the beginning of the data.
func (r *ggufReader) tensor(name string) *entry {
	field := tensorField(name, "")
	dims := r.u32(field)
	if dims > maxGGUFDims {
		r.fail(tensorField(name, "shape"), plural(int(dims), "dimension"), fmt.Sprintf("at most %d", maxGGUFDims))
		return nil
	}
	e := &entry{file: r.file, shape: make([]int, dims)}
	for i := range e.shape {
		n := r.u64(field)
		if n > math.MaxInt64 {
			r.fail(tensorField(name, "shape"), fmt.Sprint(n), "fewer than 2^63 elements")
			return nil
		}
		e.shape[len(e.shape)-1-i] = int(n) // the fastest is first in the file
	}
	kind, offset := r.u32(field), r.u64(field)
	if r.err == nil {
		r.typed(e, name, kind, offset)
	}
	return e
}

// typed sets type, place and size of e.
func (r *ggufReader) typed(e *entry, name string, kind uint32, offset uint64) {
	t, known := ggufTypes[kind]
	if !known {
		t.name = fmt.Sprintf("type %d of GGUF", kind)
	}
	e.dtype, e.stored, e.block = t.dtype, t.name, t.format
	n, ok := elements(e.shape)
	if !ok || offset > math.MaxInt64 {
		r.fail(tensorField(name, "shape"), fmt.Sprintf("%v at %d", e.shape, offset), "fewer than 2^63 elements")
		return
	}
	e.offset = int64(offset)
	if e.dtype == 0 {
		return // only whoever asks for this tensor needs the type
	}
	values, bytes := 1, e.dtype.Size()
	if e.block != device.Dense {
		values, bytes = e.block.Block()
	}
	row := 1
	if len(e.shape) > 0 {
		row = e.shape[len(e.shape)-1]
	}
	if row%values != 0 || n/values > math.MaxInt64/bytes {
		r.fail(tensorField(name, "shape"), fmt.Sprint(e.shape), fmt.Sprintf("rows of a multiple of %d values, as %s has them", values, t.name))
		return
	}
	e.size = int64(n / values * bytes)
}

// reshapeGGUF gives tensors the shapes that comfy.gguf.orig_shape.NAME says they had.
func (c contents) reshapeGGUF(path string) error {
	for key, value := range c.gguf {
		name, ok := strings.CutPrefix(key, "comfy.gguf.orig_shape.")
		e := c.tensors[name]
		if !ok || e == nil {
			continue
		}
		shape := value.ints()
		n, fine := elements(shape)
		if had, _ := elements(e.shape); !fine || n != had || len(shape) == 0 || len(shape) > maxGGUFDims || slices.Min(shape) < 0 {
			return &Error{path, key, fmt.Sprint(shape), fmt.Sprintf("a shape of the %d elements that there are", had)}
		}
		e.shape = shape
	}
	return nil
}

// placeGGUF checks that all tensors lie in the file, each on its own, behind a header of so
// many bytes.
func (c contents) placeGGUF(file *mapping, header int64) error {
	alignment := int64(32)
	if v, ok := c.gguf["general.alignment"]; ok {
		n, ok := v.int()
		if !ok || n < 1 || n > 1<<20 {
			return &Error{file.path, "general.alignment", fmt.Sprint(n), "a number from 1 to 1048576"}
		}
		alignment = int64(n)
	}
	start := (header + alignment - 1) / alignment * alignment
	size := int64(len(file.data))
	var end int64
	last := ""
	for _, name := range slices.SortedFunc(maps.Keys(c.tensors), func(a, b string) int {
		return cmp.Or(cmp.Compare(c.tensors[a].offset, c.tensors[b].offset), cmp.Compare(a, b))
	}) {
		e := c.tensors[name]
		if e.size == 0 {
			e.offset = 0 // nothing of it lies anywhere
			continue
		}
		if start > size || e.offset > size-start || e.size > size-start-e.offset {
			return &Error{file.path, tensorField(name, "offset"), fmt.Sprintf("%s at %d", plural(e.size, "byte"), e.offset),
				fmt.Sprintf("at most the %d bytes of data (is the download complete?)", max(0, size-start))}
		}
		if e.offset < end {
			return &Error{file.path, tensorField(name, "offset"), fmt.Sprint(e.offset), fmt.Sprintf("at least %d, where tensor %q ends", end, last)}
		}
		end, last = e.offset+e.size, name
		e.offset += start
	}
	return nil
}

// int reads a whole number.
func (v ggufValue) int() (int, bool) {
	if list := v.ints(); v.n < 0 && len(list) == 1 {
		return list[0], true
	}
	return 0, false
}

// ints reads whole numbers; nil for values of other types.
func (v ggufValue) ints() []int {
	size := ggufSizes[v.kind]
	if size == 0 || v.kind == 6 || v.kind == 12 {
		return nil
	}
	list := make([]int, 0, len(v.data)/size)
	for at := 0; at+size <= len(v.data); at += size {
		var raw [8]byte
		copy(raw[:], v.data[at:at+size])
		n := int(binary.LittleEndian.Uint64(raw[:]))
		switch v.kind {
		case 1:
			n = int(int8(n))
		case 3:
			n = int(int16(n))
		case 5:
			n = int(int32(n))
		}
		list = append(list, n)
	}
	return list
}

// floats reads numbers in F32; nil for values of other types.
func (v ggufValue) floats() []float32 {
	if v.kind != 6 {
		return nil
	}
	list := make([]float32, len(v.data)/4)
	Widen(list, v.data, device.F32)
	return list
}

// strings reads texts; nil for values of other types.
func (v ggufValue) strings() []string {
	if v.kind != ggufString {
		return nil
	}
	list := make([]string, 0, max(1, v.n))
	for data := v.data; len(data) >= 8; {
		n := binary.LittleEndian.Uint64(data)
		list = append(list, string(data[8:8+n]))
		data = data[8+n:]
	}
	return list
}
