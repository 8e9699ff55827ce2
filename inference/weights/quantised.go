package weights

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unsafe"

	"gimbal/inference/device"
)

// Format says how the weights of linear layers are stored; "" stands for a float
// type.
type Format string

// The formats of quantised weights, in bitsandbytes' layout
// (https://github.com/bitsandbytes-foundation/bitsandbytes):
//
//   - NF4: X.weight holds two codes a byte, X.weight.absmax the largest magnitude of
//     every block and X.weight.quant_map the 16 values. X.weight.absmax may in turn
//     be 8-bit codes, with X.weight.nested_absmax and X.weight.nested_quant_map. A
//     JSON text, X.weight.quant_state.bitsandbytes__nf4, holds the sizes.
//   - INT8: X.weight is I8 and X.SCB the largest magnitude of every row.
const (
	AsStored Format = "none" // as in the checkpoint, whatever that is
	INT8     Format = "int8" // 8 bits, a scale for each row
	NF4      Format = "nf4"  // 4 bits, a scale for each block of values
)

const nf4Suffix = ".quant_state.bitsandbytes__nf4"

// NF4State is the JSON text beside a weight in NF4.
type NF4State struct {
	QuantType   string `json:"quant_type"` // "nf4"
	BlockSize   int    `json:"blocksize"`  // values a scale
	DType       string `json:"dtype"`      // of the weight before, torch's name
	Shape       []int  `json:"shape"`      // [out, in]
	NestedBlock int    `json:"nested_blocksize,omitempty"`
	NestedDType string `json:"nested_dtype,omitempty"`
	// NestedOffset was subtracted from the scales before they were quantised.
	NestedOffset float32 `json:"nested_offset"`
}

// maxBlock is the limit on the values of a block; bitsandbytes has up to 4096.
const maxBlock = 1 << 16

// scbName returns the name of the row scales of the INT8 weight called name.
func scbName(name string) string { return strings.TrimSuffix(name, "weight") + "SCB" }

// quantisedDir returns the folder of an expert's quantised weights.
func quantisedDir(expert string, f Format) string { return expert + "_bnb_" + string(f) }

// openBrought opens the quantised weights that a checkpoint brings for one of
// its experts: those in the folder dir/EXPERT_bnb_KIND. The error is
// os.ErrNotExist if there is no such folder.
func openBrought(dir, expert string, f Format) (*Store, error) {
	path := filepath.Join(dir, quantisedDir(expert, f))
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("weights: %w", err)
	}
	return OpenSharded(path)
}

// Quantised returns the format of the store's quantised weights, "" if it has none.
func (s *Store) Quantised() Format {
	for _, name := range s.names {
		switch {
		case strings.HasSuffix(name, nf4Suffix):
			return NF4
		case strings.HasSuffix(name, ".SCB"):
			return INT8
		}
	}
	return ""
}

// nf4 is Weight for a weight in NF4.
func (l *Loader) nf4(name string, out, in int) device.Weight {
	s, ok := l.nf4State(name, out, in)
	t, ok2 := l.tensor(name)
	if !ok || !ok2 {
		return device.Weight{}
	}
	n := s.Shape[0] * s.Shape[1]
	if t.Bytes() != int64(n/2) {
		l.fail(name, "size", plural(t.Bytes(), "byte"), fmt.Sprintf("%d for %d codes of 4 bits", n/2, n))
		return device.Weight{}
	}
	t.DType = device.U8 // bitsandbytes may store the bytes as another type
	w := device.Weight{
		Format: device.NF4, Data: l.mapped(t, 1, n/2), Out: s.Shape[0], In: s.Shape[1],
		Block: s.BlockSize, Code: l.table(name+".quant_map", 16),
	}
	if !l.nf4Scales(&w, name, s, (n+s.BlockSize-1)/s.BlockSize) || w.Data.IsZero() || w.Code.IsZero() {
		return device.Weight{}
	}
	return w
}

// nf4Scales maps the scales of a weight's blocks, quantised themselves or not.
func (l *Loader) nf4Scales(w *device.Weight, name string, s NF4State, blocks int) (ok bool) {
	if !l.Has(name + ".nested_absmax") {
		w.Scale = l.scales(name+".absmax", device.F32, blocks)
		return !w.Scale.IsZero()
	}
	if s.NestedBlock < 1 || s.NestedBlock > maxBlock {
		l.fail(name+nf4Suffix, "nested_blocksize", fmt.Sprint(s.NestedBlock), fmt.Sprintf("1 to %d", maxBlock))
		return false
	}
	w.Scale = l.scales(name+".absmax", device.U8, blocks)
	w.Nested = l.Vector(name+".nested_absmax", (blocks+s.NestedBlock-1)/s.NestedBlock)
	w.NestedCode = l.table(name+".nested_quant_map", 256)
	w.NestedBlock, w.NestedOffset = s.NestedBlock, s.NestedOffset
	return !w.Scale.IsZero() && !w.Nested.IsZero() && !w.NestedCode.IsZero()
}

// nf4State reads the JSON text of the weight called name and checks it.
func (l *Loader) nf4State(name string, out, in int) (s NF4State, ok bool) {
	field := name + nf4Suffix
	t, ok := l.tensor(field)
	if !ok {
		return s, false
	}
	if len(t.Data) > maxConfig {
		l.fail(field, "size", plural(len(t.Data), "byte"), fmt.Sprintf("at most %d", maxConfig))
		return s, false
	}
	if err := json.Unmarshal(t.Data, &s); err != nil {
		l.fail(field, "contents", err.Error(), "a JSON object with blocksize and shape")
		return s, false
	}
	n, ok := 0, len(s.Shape) == 2 && s.Shape[0] > 0 && s.Shape[1] > 0
	if ok {
		n, ok = elements(s.Shape)
	}
	switch {
	case !ok || out != 0 && out != s.Shape[0] || in != 0 && in != s.Shape[1]:
		l.fail(field, "shape", fmt.Sprint(s.Shape), fmt.Sprintf("[%s %s]", dim(out), dim(in)))
	case n%2 != 0:
		l.fail(field, "shape", fmt.Sprint(s.Shape), "an even number of elements")
	case s.QuantType != string(NF4):
		l.fail(field, "quant_type", s.QuantType, string(NF4))
	case s.BlockSize < 1 || s.BlockSize > maxBlock:
		l.fail(field, "blocksize", fmt.Sprint(s.BlockSize), fmt.Sprintf("1 to %d", maxBlock))
	default:
		return s, true
	}
	return s, false
}

// table writes the n values of the tensor called name to the device, once for
// all tensors of the same bytes.
func (l *Loader) table(name string, n int) device.Mat {
	t, ok := l.tensor(name)
	if !ok {
		return device.Mat{}
	}
	key := fmt.Sprint(n, t.DType, string(t.Data[:min(len(t.Data), 4*n+1)]))
	if m, ok := l.tables[key]; ok {
		return m
	}
	m := l.Vector(name, n)
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
	if dtype == device.F32 && uintptr(unsafe.Pointer(unsafe.SliceData(t.Data)))%4 != 0 {
		return l.Vector(name, n)
	}
	return l.Mat(name, 1, n)
}

// int8 is Weight for a weight in INT8.
func (l *Loader) int8(name string, out, in int) device.Weight {
	t, ok := l.tensor(name)
	scb, ok2 := l.tensor(scbName(name))
	if !ok || !ok2 || !l.rowMajor(name) {
		return device.Weight{}
	}
	if t.DType != device.I8 {
		l.fail(name, "dtype", t.DType.String(), "I8")
		return device.Weight{}
	}
	if len(t.Shape) != 2 || t.Bytes() == 0 || out != 0 && out != t.Shape[0] || in != 0 && in != t.Shape[1] {
		l.fail(name, "shape", fmt.Sprint(t.Shape), fmt.Sprintf("[%s %s]", dim(out), dim(in)))
		return device.Weight{}
	}
	var scale []float32
	var err error
	if !l.dev.Info().Dry {
		scale, err = scb.Float32s()
	}
	if rows, _ := elements(scb.Shape); err != nil || rows != t.Shape[0] {
		l.fail(scb.Name, "contents", fmt.Sprintf("%v %v", scb.DType, scb.Shape), fmt.Sprintf("%d numbers in F32", t.Shape[0]))
		return device.Weight{}
	}
	for i := range scale {
		scale[i] /= 127
	}
	w := device.Weight{
		Format: device.INT8, Data: l.mapped(t, t.Shape[0], t.Shape[1]), Out: t.Shape[0], In: t.Shape[1],
		Scale: l.row(scb.Name, t.Shape[0], scale),
	}
	if w.Data.IsZero() || w.Scale.IsZero() {
		return device.Weight{}
	}
	return w
}

// rowMajor checks that the INT8 weight called name is not in one of the orders
// that old versions of bitsandbytes kept for some GPUs.
func (l *Loader) rowMajor(name string) bool {
	format := strings.TrimSuffix(name, "weight") + "weight_format"
	if !l.Has(format) {
		return true
	}
	t, ok := l.tensor(format)
	if !ok {
		return false
	}
	for _, b := range t.Data {
		if b != 0 {
			l.fail(format, "contents", fmt.Sprint(b), "0, row by row")
			return false
		}
	}
	return true
}
