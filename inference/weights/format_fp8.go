package weights

import (
	"encoding/json"
	"fmt"
	"strings"

	"gimbal/inference/device"
)

// scaled are ComfyUI's quantised layers (comfy/quant_ops.py): X.weight is F8_E4M3, F8_E5M2 or
// I8, and one scale, or one per row, is X.scale_weight, or, beside a JSON text X.comfy_quant,
// X.weight_scale. Scales of activations are not used: products are computed in F32.
type scaled struct {
	as   Format
	is   device.Format
	says []string // what X.comfy_quant may say of it
	in   []device.DType
}

var (
	fp8Scaled  = scaled{FP8, device.FP8, []string{"float8_e4m3fn", "float8_e5m2"}, []device.DType{device.F8E4M3, device.F8E5M2}}
	int8Scaled = scaled{INT8, device.INT8, []string{"int8_tensorwise"}, []device.DType{device.I8}}
)

// quantSuffix is the name of a layer's JSON text.
const quantSuffix = "comfy_quant"

// comfyQuant is the JSON text of a layer.
type comfyQuant struct {
	Format  string `json:"format"`
	ConvRot bool   `json:"convrot"`
}

func (f scaled) name() Format { return f.as }

func (f scaled) detect(s *Store, name string) bool {
	e := s.tensors[name]
	if e == nil || scaleName(s, name) == "" {
		return false
	}
	if q, err := readComfyQuant(s, name); err == nil && q.Format != "" {
		return f.means(q.Format)
	}
	for _, t := range f.in {
		if e.dtype == t {
			return true
		}
	}
	return false
}

func (f scaled) means(format string) bool {
	for _, word := range f.says {
		if word == format {
			return true
		}
	}
	return false
}

func (scaled) sides(name string) []string {
	layer := strings.TrimSuffix(name, "weight")
	return []string{layer + "scale_weight", layer + "scale_input", layer + "weight_scale", layer + "input_scale", layer + quantSuffix, "scaled_fp8"}
}

func (scaled) shape(s *Store, name string) []int { return s.tensors[name].shape }

// scaleName returns the name of the scales of the weight called name, "" if it has none.
func scaleName(s *Store, name string) string {
	layer := strings.TrimSuffix(name, "weight")
	for _, side := range []string{layer + "weight_scale", layer + "scale_weight"} {
		if layer != name && s.Has(side) {
			return side
		}
	}
	return ""
}

// readComfyQuant reads what a layer says of itself; nothing if it does not.
func readComfyQuant(s *Store, name string) (q comfyQuant, err error) {
	side := strings.TrimSuffix(name, "weight") + quantSuffix
	if !s.Has(side) {
		return q, nil
	}
	t, err := s.Tensor(side)
	if err != nil {
		return q, err
	}
	if len(t.Data) > maxConfig {
		return q, s.fault(side, "size", plural(len(t.Data), "byte"), fmt.Sprintf("at most %d", maxConfig))
	}
	if err := json.Unmarshal(t.Data, &q); err != nil {
		return q, s.fault(side, "contents", err.Error(), "a JSON object with format")
	}
	return q, nil
}

// open returns the weight's codes, of their type, and the scale of each row.
func (f scaled) open(s *Store, name string) (t Tensor, scale []float32, err error) {
	q, err := readComfyQuant(s, name)
	if err != nil {
		return t, nil, err
	}
	if q.ConvRot {
		return t, nil, s.fault(name, "format", q.Format+" with convrot", "weights that are not rotated: take another file of this model, such as fp8 or GGUF")
	}
	if t, err = s.Tensor(name); err != nil {
		return t, nil, err
	}
	for i, word := range f.says {
		if word == q.Format {
			t.DType = f.in[i] // the bytes may be in a U8 tensor
		}
	}
	n, _ := elements(t.Shape)
	if n == 0 || len(t.Shape) < 2 {
		return t, nil, s.fault(name, "shape", fmt.Sprint(t.Shape), "[any any]")
	}
	side, err := s.Tensor(scaleName(s, name))
	if err != nil {
		return t, nil, err
	}
	if count, _ := elements(side.Shape); count != 1 && count != t.Shape[0] {
		return t, nil, s.fault(side.Name, "shape", fmt.Sprint(side.Shape), fmt.Sprintf("one scale, or one for each of %d rows", t.Shape[0]))
	}
	if s.shapes {
		return t, nil, nil
	}
	values, err := side.Float32s()
	if err != nil {
		return t, nil, s.fault(side.Name, "dtype", side.DType.String(), floatTypes)
	}
	scale = make([]float32, t.Shape[0])
	for i := range scale {
		scale[i] = values[i%len(values)]
	}
	return t, scale, nil
}

func (f scaled) load(l *Loader, name string, shape []int) device.Weight {
	t, scale, err := f.open(l.store, name)
	if err != nil {
		l.note(name, err)
		return device.Weight{}
	}
	found := asMatrix(t.Shape, shape)
	if len(found) != 2 || !fits(found, shape) {
		return l.fail(name, "shape", fmt.Sprint(t.Shape), shapeText(shape))
	}
	w := device.Weight{Format: f.is, Data: l.mapped(t, found[0], found[1]), Out: found[0], In: found[1], Scale: l.row(scaleName(l.store, name), found[0], scale)}
	if w.Data.IsZero() || w.Scale.IsZero() {
		return device.Weight{}
	}
	return w
}

func (f scaled) rows(s *Store, t Tensor, first, n int) ([]float32, error) {
	t, scale, err := f.open(s, t.Name)
	if err != nil {
		return nil, err
	}
	cols := len(t.Data) / t.Shape[0]
	out := make([]float32, n*cols)
	codes := t.Data[first*cols : (first+n)*cols]
	if !Widen(out, codes, t.DType) {
		for i, c := range codes {
			out[i] = float32(int8(c))
		}
	}
	for i := range out {
		out[i] *= scale[first+i/cols]
	}
	return out, nil
}

// foreignQuant refuses the formats of ComfyUI that are not known here.
type foreignQuant struct{}

func (foreignQuant) name() Format { return "unknown" }

func (foreignQuant) detect(s *Store, name string) bool {
	q, err := readComfyQuant(s, name)
	return s.Has(name) && err == nil && q.Format != ""
}

func (foreignQuant) sides(name string) []string {
	return append(fp8Scaled.sides(name), name+"_scale_2")
}

func (foreignQuant) shape(s *Store, name string) []int { return s.tensors[name].shape }

func (foreignQuant) fault(s *Store, name string) error {
	q, err := readComfyQuant(s, name)
	if err != nil {
		return err
	}
	return s.fault(name, "format", q.Format, "float8_e4m3fn, float8_e5m2 or int8_tensorwise: take another file of this model, such as fp8 or GGUF")
}

func (f foreignQuant) load(l *Loader, name string, _ []int) device.Weight {
	l.note(name, f.fault(l.store, name))
	return device.Weight{}
}

func (f foreignQuant) rows(s *Store, t Tensor, _, _ int) ([]float32, error) {
	return nil, f.fault(s, t.Name)
}

// quantMetadata is the header's text that says which layers are quantised.
const quantMetadata = "_quantization_metadata"

// sayQuant gives the layers that the header's metadata names a JSON text of their own, as
// files without metadata have it. Names are with or without the prefix of the file.
func (c contents) sayQuant(path string) error {
	text := c.metadata[quantMetadata]
	if text == "" {
		return nil
	}
	var all struct {
		Layers map[string]json.RawMessage `json:"layers"`
	}
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		return &Error{path, quantMetadata, err.Error(), `{"layers": {name: {"format": text}}}`}
	}
	prefix := ""
	for name := range c.tensors {
		if p, _ := cutPrefix(name); p != "" {
			prefix = p
			break
		}
	}
	for layer, says := range all.Layers {
		for _, full := range []string{layer, prefix + layer} {
			e := c.tensors[full+".weight"]
			if e == nil || c.tensors[full+"."+quantSuffix] != nil {
				continue
			}
			c.tensors[full+"."+quantSuffix] = &entry{file: e.file, dtype: device.U8, shape: []int{len(says)}, size: int64(len(says)), data: says}
		}
	}
	return nil
}
