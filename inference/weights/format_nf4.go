package weights

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"unsafe"

	"gimbal/inference/device"
)

// nf4 is the 4-bit type of QLoRA (https://arxiv.org/abs/2305.14314) as bitsandbytes
// stores it (https://github.com/bitsandbytes-foundation/bitsandbytes): X.weight holds
// two codes per byte, X.weight.absmax the largest magnitude of every block and
// X.weight.quant_map the 16 values. X.weight.absmax may in turn be 8-bit codes, with
// X.weight.nested_absmax and X.weight.nested_quant_map. A JSON text,
// X.weight.quant_state.bitsandbytes__nf4, holds the sizes. Its fp4 differs in the values only.
type nf4 struct{}

const (
	nf4Suffix = ".quant_state.bitsandbytes__nf4"
	fp4Suffix = ".quant_state.bitsandbytes__fp4"
)

// nf4StateName returns the name of the text beside the weight called name.
func nf4StateName(s *Store, name string) string {
	if s.Has(name + fp4Suffix) {
		return name + fp4Suffix
	}
	return name + nf4Suffix
}

// NF4State is the JSON text beside a weight in NF4.
type NF4State struct {
	QuantType   string `json:"quant_type"` // "nf4", or "fp4" with the values of another code
	BlockSize   int    `json:"blocksize"`  // values per scale
	DType       string `json:"dtype"`      // of the weight before, torch's name
	Shape       []int  `json:"shape"`      // [out, in]
	NestedBlock int    `json:"nested_blocksize,omitempty"`
	NestedDType string `json:"nested_dtype,omitempty"`
	// NestedOffset was subtracted from the scales before they were quantised.
	NestedOffset float32 `json:"nested_offset"`
}

// maxBlock is the limit on the values of a block; bitsandbytes has up to 4096.
const maxBlock = 1 << 16

func (nf4) name() Format { return NF4 }

func (nf4) detect(s *Store, name string) bool { return s.Has(nf4StateName(s, name)) }

func (nf4) sides(name string) []string {
	return []string{name + nf4Suffix, name + fp4Suffix, name + ".absmax", name + ".quant_map", name + ".nested_absmax", name + ".nested_quant_map"}
}

func (nf4) shape(s *Store, name string) []int {
	state, err := readNF4State(s, name)
	if err != nil {
		return nil
	}
	return state.Shape
}

func (nf4) load(l *Loader, name string, shape []int) device.Weight {
	s, err := readNF4State(l.store, name)
	if err != nil {
		l.note(nf4StateName(l.store, name), err)
	} else if !fits(s.Shape, shape) {
		l.fail(nf4StateName(l.store, name), "shape", fmt.Sprint(s.Shape), shapeText(shape))
	}
	t, ok := l.tensor(name)
	if err != nil || !ok || !fits(s.Shape, shape) {
		return device.Weight{}
	}
	n := s.Shape[0] * s.Shape[1]
	if t.Bytes() != int64(n/2) {
		return l.fail(name, "size", plural(t.Bytes(), "byte"), fmt.Sprintf("%d for %d codes of 4 bits", n/2, n))
	}
	t.DType = device.U8 // bitsandbytes may store the bytes as another type
	w := device.Weight{
		Data: l.mapped(t, 1, n/2), Out: s.Shape[0], In: s.Shape[1],
		Format: device.NF4, Block: s.BlockSize, Code: l.codes(name+".quant_map", 16),
	}
	if !l.nf4Scales(&w, name, s, (n+s.BlockSize-1)/s.BlockSize) || w.Data.IsZero() || w.Code.IsZero() {
		return device.Weight{}
	}
	return w
}

func (nf4) rows(store *Store, t Tensor, first, n int) ([]float32, error) {
	s, err := readNF4State(store, t.Name)
	if err != nil {
		return nil, err
	}
	code, err := store.Values(t.Name + ".quant_map")
	if err != nil {
		return nil, err
	}
	scale, err := hostScales(store, t.Name, s)
	if err != nil {
		return nil, err
	}
	all := s.Shape[0] * s.Shape[1]
	if len(code) != 16 || len(t.Data) != all/2 || len(scale) < (all+s.BlockSize-1)/s.BlockSize {
		return nil, store.fault(t.Name, "size", fmt.Sprintf("%d bytes, %d values and %d scales", len(t.Data), len(code), len(scale)), fmt.Sprintf("those of %d codes", all))
	}
	cols := s.Shape[1]
	out := make([]float32, n*cols)
	for i := range out {
		at := first*cols + i
		out[i] = code[t.Data[at/2]>>(4-at%2*4)&15] * scale[at/s.BlockSize]
	}
	return out, nil
}

// hostScales returns the scales of a weight's blocks.
func hostScales(store *Store, name string, s NF4State) ([]float32, error) {
	if !store.Has(name + ".nested_absmax") {
		return store.Values(name + ".absmax")
	}
	codes, err := store.Tensor(name + ".absmax")
	if err != nil {
		return nil, err
	}
	nested, err := store.Values(name + ".nested_absmax")
	if err != nil {
		return nil, err
	}
	values, err := store.Values(name + ".nested_quant_map")
	if err != nil {
		return nil, err
	}
	if s.NestedBlock < 1 || len(values) != 256 || len(nested) < (len(codes.Data)+s.NestedBlock-1)/s.NestedBlock {
		return nil, store.fault(name, "nested scales", fmt.Sprintf("%d of %d values in blocks of %d", len(nested), len(values), s.NestedBlock), fmt.Sprintf("those of %d scales", len(codes.Data)))
	}
	scale := make([]float32, len(codes.Data))
	for i, c := range codes.Data {
		scale[i] = float32(values[c]*nested[i/s.NestedBlock]) + s.NestedOffset
	}
	return scale, nil
}

// nf4Scales maps the scales of a weight's blocks, quantised themselves or not.
func (l *Loader) nf4Scales(w *device.Weight, name string, s NF4State, blocks int) (ok bool) {
	if !l.store.Has(name + ".nested_absmax") {
		w.Scale = l.scales(name+".absmax", device.F32, blocks)
		return !w.Scale.IsZero()
	}
	if s.NestedBlock < 1 || s.NestedBlock > maxBlock {
		l.fail(nf4StateName(l.store, name), "nested_blocksize", fmt.Sprint(s.NestedBlock), fmt.Sprintf("1 to %d", maxBlock))
		return false
	}
	w.Scale = l.scales(name+".absmax", device.U8, blocks)
	w.Nested = l.vector(name+".nested_absmax", (blocks+s.NestedBlock-1)/s.NestedBlock)
	w.NestedCode = l.codes(name+".nested_quant_map", 256)
	w.NestedBlock, w.NestedOffset = s.NestedBlock, s.NestedOffset
	return !w.Scale.IsZero() && !w.Nested.IsZero() && !w.NestedCode.IsZero()
}

// readNF4State reads the JSON text of the weight called name and checks it.
func readNF4State(store *Store, name string) (s NF4State, err error) {
	name = nf4StateName(store, name)
	t, err := store.Tensor(name)
	if err != nil {
		return s, err
	}
	if len(t.Data) > maxConfig {
		return s, store.fault(name, "size", plural(len(t.Data), "byte"), fmt.Sprintf("at most %d", maxConfig))
	}
	if err := json.Unmarshal(t.Data, &s); err != nil {
		return s, store.fault(name, "contents", err.Error(), "a JSON object with blocksize and shape")
	}
	n, ok := 0, len(s.Shape) == 2 && s.Shape[0] > 0 && s.Shape[1] > 0
	if ok {
		n, ok = elements(s.Shape)
	}
	switch {
	case !ok:
		return s, store.fault(name, "shape", fmt.Sprint(s.Shape), "[any any]")
	case n%2 != 0:
		return s, store.fault(name, "shape", fmt.Sprint(s.Shape), "an even number of elements")
	case !strings.HasSuffix(name, "__"+s.QuantType):
		return s, store.fault(name, "quant_type", s.QuantType, name[len(name)-3:])
	case s.BlockSize < 1 || s.BlockSize > maxBlock:
		return s, store.fault(name, "blocksize", fmt.Sprint(s.BlockSize), fmt.Sprintf("1 to %d", maxBlock))
	}
	return s, nil
}

// codes writes the n values of the codes in the tensor called name to the device, once
// for all tensors of the same bytes.
func (l *Loader) codes(name string, n int) device.Mat {
	t, ok := l.tensor(name)
	if !ok {
		return device.Mat{}
	}
	key := fmt.Sprint(n, t.DType, string(t.Data[:min(len(t.Data), 4*n+1)]))
	if m, ok := l.tables[key]; ok {
		return m
	}
	m := l.vector(name, n)
	if !m.IsZero() {
		l.tables[key] = m
	}
	return m
}

// scales maps the n scales called name as one row, or copies them if the file
// does not align them.
func (l *Loader) scales(name string, dtype device.DType, n int) device.Mat {
	t, ok := l.tensor(name)
	if !ok {
		return device.Mat{}
	}
	if t.DType != dtype {
		l.fail(name, "dtype", t.DType.String(), dtype.String())
		return device.Mat{}
	}
	if found, _ := elements(t.Shape); found != n {
		l.fail(name, "shape", fmt.Sprint(t.Shape), fmt.Sprintf("1 x %d elements", n))
		return device.Mat{}
	}
	if dtype == device.F32 && uintptr(unsafe.Pointer(unsafe.SliceData(t.Data)))%4 != 0 {
		return l.vector(name, n)
	}
	return l.mapped(t, 1, n)
}

// NF4Block is the number of values that share a scale in weights that are converted here.
const NF4Block = device.NF4Block

// stateSize is the room for a weight's JSON text, whose length is not known before its
// scales are; blanks fill it.
const stateSize = 256

func (nf4) plan(t Tensor, q Quant) []Tensor {
	codes, blocks := nf4Len(t.Shape[0]*t.Shape[1], NF4Block)
	f32 := func(side string, n int) Tensor {
		return Tensor{Name: t.Name + side, DType: device.F32, Shape: []int{n}}
	}
	list := []Tensor{f32(".quant_map", len(NF4Code))}
	if q.Nested {
		list = append(list, f32(".nested_quant_map", len(nestedCode)), f32(".nested_absmax", nestedLen(blocks)),
			Tensor{Name: t.Name + ".absmax", DType: device.U8, Shape: []int{blocks}})
	} else {
		list = append(list, f32(".absmax", blocks))
	}
	return append(list,
		Tensor{Name: t.Name + nf4Suffix, DType: device.U8, Shape: []int{stateSize}, Data: nf4State(t, q, 0)},
		Tensor{Name: t.Name, DType: device.U8, Shape: []int{codes, 1}})
}

func (nf4) encode(ctx context.Context, b *buffers, t Tensor, q Quant) ([][]byte, error) {
	codes, blocks := nf4Len(t.Shape[0]*t.Shape[1], NF4Block)
	b.codes, b.absmax = resize(b.codes, codes), resize(b.absmax, blocks)
	if err := encodeNF4Tensor(ctx, b.codes, b.absmax, t); err != nil {
		return nil, err
	}
	if !q.Nested {
		return [][]byte{device.Bytes(NF4Code[:]), device.Bytes(b.absmax), nf4State(t, q, 0), b.codes}, nil
	}
	b.codes8, b.nested = resize(b.codes8, blocks), resize(b.nested, nestedLen(blocks))
	offset := encodeNested(b.codes8, b.nested, b.absmax)
	return [][]byte{
		device.Bytes(NF4Code[:]), device.Bytes(nestedCode[:]), device.Bytes(b.nested), b.codes8, nf4State(t, q, offset), b.codes,
	}, nil
}

// nf4State describes t as it is quantised here, with the offset of nested scales.
func nf4State(t Tensor, q Quant, offset float32) []byte {
	s := NF4State{QuantType: string(NF4), BlockSize: NF4Block, DType: torchTypes[t.DType], Shape: t.Shape, NestedOffset: offset}
	if q.Nested {
		s.NestedBlock, s.NestedDType = nestedBlock, "float32"
	}
	text, err := json.Marshal(s)
	if err != nil { // an offset is finite if the scales are
		panic(err)
	}
	return append(text, bytes.Repeat([]byte{' '}, max(0, stateSize-len(text)))...)
}

// torchTypes are torch's names of float types; bfloat16 holds the values of F8, too.
var torchTypes = map[device.DType]string{
	device.F32: "float32", device.F16: "float16", device.BF16: "bfloat16", device.F8E4M3: "bfloat16",
}

// NF4Code holds the values of the 16 codes, ascending: quantiles of the normal
// distribution, scaled to [-1, 1] (QLoRA, appendix E; bitsandbytes' table).
var NF4Code = [16]float32{
	-1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453,
	-0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0,
	0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
	0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1,
}

// nf4Middles are the middles of neighbouring codes: the code nearest to a value, the
// lower one of two, is the number of middles below it.
var nf4Middles = func() (middles [15]float32) {
	for i := range middles {
		middles[i] = float32((float64(NF4Code[i]) + float64(NF4Code[i+1])) / 2)
	}
	return middles
}()

// nf4Len returns the number of code bytes and of scales of n values.
func nf4Len(n, block int) (codes, scales int) { return (n + 1) / 2, (n + block - 1) / block }
