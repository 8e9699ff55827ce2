package weights

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gimbal/inference/device"
)

// tensorOf returns a tensor of n elements with some bytes.
func tensorOf(name string, dtype device.DType, shape ...int) Tensor {
	n, _ := elements(shape)
	return Tensor{Name: name, DType: dtype, Shape: shape, Data: make([]byte, n*dtype.Size())}
}

func floats(name string, values ...float32) Tensor {
	return Tensor{Name: name, DType: device.F32, Shape: []int{len(values)}, Data: slices.Clone(device.Bytes(values))}
}

// nf4Layer returns the tensors of a layer of 6 x 16 weights in blocks of 32.
func nf4Layer(nested bool) []Tensor {
	state := `{"quant_type": "nf4", "blocksize": 32, "dtype": "bfloat16", "shape": [6, 16]`
	layer := []Tensor{tensorOf("x.weight", device.U8, 48, 1), tensorOf("x.weight.quant_map", device.F32, 16)}
	if nested {
		state += `, "nested_blocksize": 2, "nested_dtype": "float32", "nested_offset": 0.25`
		layer = append(layer, tensorOf("x.weight.absmax", device.U8, 3),
			floats("x.weight.nested_absmax", 1, 2), tensorOf("x.weight.nested_quant_map", device.F32, 256))
	} else {
		layer = append(layer, floats("x.weight.absmax", 3, 4, 5))
	}
	text := []byte(state + "}   ")
	return append(layer, Tensor{Name: "x.weight" + nf4Suffix, DType: device.U8, Shape: []int{len(text)}, Data: text})
}

// ofX is the table of a model whose only weight is x.weight.
func ofX(out, in int) Table { return Table{{Name: "x.weight", Shape: []int{out, in}}} }

func int8Layer() []Tensor {
	return []Tensor{tensorOf("x.weight", device.I8, 2, 3), floats("x.SCB", 127, 254), tensorOf("x.weight_format", device.U8)}
}

// storeOf writes and opens tensors, preceded by odd bytes so that nothing is aligned
// where shift is odd.
func storeOf(t testing.TB, shift int, tensors []Tensor) *Store {
	t.Helper()
	sources := []Source{tensorOf("shift", device.U8, shift).Source()}
	for _, x := range tensors {
		sources = append(sources, x.Source())
	}
	path := filepath.Join(t.TempDir(), "x.safetensors")
	if err := WriteInOrder(path, sources, nil); err != nil {
		t.Fatal(err)
	}
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestQuantisedWeights(t *testing.T) {
	for _, shift := range []int{0, 1} {
		for _, nested := range []bool{false, true} {
			dev := &memory{}
			l := NewLoader(dev, storeOf(t, shift, nf4Layer(nested)), ofX(6, 16))
			w := l.Weight("x.weight")
			if err := l.Err(); err != nil {
				t.Fatal(err)
			}
			if w.Out != 6 || w.In != 16 || w.Format != device.NF4 || w.Block != 32 || w.Data.Cols != 48 || w.Scale.Cols != 3 || w.Code.Cols != 16 {
				t.Errorf("weight %+v", w)
			}
			if nested && (w.Nested.Cols != 2 || w.NestedCode.Cols != 256 || w.NestedBlock != 2 || w.NestedOffset != 0.25 || w.Scale.DType != device.U8) {
				t.Errorf("nested weight %+v", w)
			}
			checkWeight(t, dev, w)
			held := dev.held
			again := l.Weight("x.weight")
			if again.Code != w.Code || again.NestedCode != w.NestedCode || dev.held-held >= held {
				t.Error("equal tables are on the device twice")
			}
			if l.Release(); dev.held != 0 {
				t.Errorf("%d buffers are left", dev.held)
			}
		}
		dev := &memory{}
		l := NewLoader(dev, storeOf(t, shift, int8Layer()), nil)
		w := l.Weight("x.weight")
		if err := l.Err(); err != nil {
			t.Fatal(err)
		}
		checkWeight(t, dev, w)
		if scale := w.Scale.Buf.(*buffer).data; !slices.Equal(scale, device.Bytes([]float32{1, 2})) {
			t.Errorf("scales %v, want SCB/127", scale)
		}
	}
}

// checkWeight panics unless a device could multiply with w.
func checkWeight(t testing.TB, dev device.Device, w device.Weight) {
	mat := func(cols int) device.Mat {
		b, err := dev.Alloc(device.Desc{DType: device.F32, Shape: []int{1, cols}})
		if err != nil {
			t.Fatal(err)
		}
		return device.AsMat(b)
	}
	x, y := mat(w.In), mat(w.Out)
	device.Linear{X: x, Y: y, W: w}.Check()
	x.Buf.Release()
	y.Buf.Release()
}

func TestQuantisedErrors(t *testing.T) {
	state := func(change func(s *NF4State)) func([]Tensor) []Tensor {
		return func(layer []Tensor) []Tensor {
			last := &layer[len(layer)-1]
			var s NF4State
			if err := json.Unmarshal(last.Data, &s); err != nil {
				t.Fatal(err)
			}
			change(&s)
			last.Data, _ = json.Marshal(s)
			last.Shape = []int{len(last.Data)}
			return layer
		}
	}
	swap := func(with Tensor) func([]Tensor) []Tensor {
		return func(layer []Tensor) []Tensor {
			i := slices.IndexFunc(layer, func(x Tensor) bool { return x.Name == with.Name })
			layer[i] = with
			return layer
		}
	}
	without := func(name string) func([]Tensor) []Tensor {
		return func(layer []Tensor) []Tensor {
			return slices.DeleteFunc(layer, func(x Tensor) bool { return x.Name == name })
		}
	}
	text := func(s string) func([]Tensor) []Tensor {
		return swap(Tensor{Name: "x.weight" + nf4Suffix, DType: device.U8, Shape: []int{len(s)}, Data: []byte(s)})
	}
	for _, c := range []struct {
		name   string
		layer  []Tensor
		change func([]Tensor) []Tensor
		want   string
	}{
		{"no JSON", nf4Layer(false), text("{"), "a JSON object"},
		{"odd", nf4Layer(false), state(func(s *NF4State) { s.Shape = []int{5, 3} }), "even"},
		{"other shape", nf4Layer(false), state(func(s *NF4State) { s.Shape = []int{6, 18} }), "54 for 108 codes"},
		{"huge", nf4Layer(false), state(func(s *NF4State) { s.Shape = []int{math.MaxInt, 4} }), "shape"},
		{"negative", nf4Layer(false), state(func(s *NF4State) { s.Shape = []int{-6, -16} }), "shape"},
		{"cube", nf4Layer(false), state(func(s *NF4State) { s.Shape = []int{6, 4, 4} }), "shape"},
		{"no block", nf4Layer(false), state(func(s *NF4State) { s.BlockSize = 0 }), "blocksize"},
		{"huge block", nf4Layer(false), state(func(s *NF4State) { s.BlockSize = math.MaxInt }), "blocksize"},
		{"other block", nf4Layer(false), state(func(s *NF4State) { s.BlockSize = 16 }), `"x.weight.absmax" shape: found [3], expected 1 x 6`},
		{"other type", nf4Layer(false), state(func(s *NF4State) { s.QuantType = "fp4" }), "found fp4, expected nf4"},
		{"no scales", nf4Layer(false), without("x.weight.absmax"), `"x.weight.absmax"`},
		{"no values", nf4Layer(false), without("x.weight.quant_map"), `"x.weight.quant_map"`},
		{"codes for scales", nf4Layer(false), swap(tensorOf("x.weight.absmax", device.U8, 3)), "found U8, expected F32"},
		{"scales for codes", nf4Layer(true), swap(floats("x.weight.absmax", 1, 2, 3)), "found F32, expected U8"},
		{"few values", nf4Layer(true), swap(tensorOf("x.weight.nested_quant_map", device.F32, 255)), "expected 256 elements"},
		{"nested block", nf4Layer(true), state(func(s *NF4State) { s.NestedBlock = -1 }), "nested_blocksize"},
		{"nested scales", nf4Layer(true), swap(floats("x.weight.nested_absmax", 1)), "nested_absmax"},
		{"INT8 type", int8Layer(), swap(tensorOf("x.weight", device.U8, 2, 3)), "found U8, expected I8"},
		{"INT8 shape", int8Layer(), swap(tensorOf("x.weight", device.I8, 6)), "shape: found [6]"},
		{"INT8 scales", int8Layer(), swap(floats("x.SCB", 1, 2, 3)), "2 numbers"},
		{"INT8 order", int8Layer(), swap(Tensor{Name: "x.weight_format", DType: device.U8, Data: []byte{2}}), "row by row"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := NewLoader(&memory{}, storeOf(t, 0, c.change(c.layer)), nil)
			w := l.Weight("x.weight")
			if l.Err() == nil || !strings.Contains(l.Err().Error(), c.want) {
				t.Errorf("error %v, want one with %q", l.Err(), c.want)
			}
			if w.Out != 0 || !w.Data.IsZero() {
				t.Errorf("a bad weight loads: %+v", w)
			}
		})
	}
	for _, layer := range [][]Tensor{nf4Layer(true), int8Layer()} {
		l := NewLoader(&memory{full: true}, storeOf(t, 0, layer), nil)
		if w := l.Weight("x.weight"); w.Out != 0 || !errors.Is(l.Err(), device.ErrOutOfMemory) {
			t.Errorf("%+v, %v", w, l.Err())
		}
	}
}

// FuzzQuantised reads layers with any sizes; what loads must be safe to multiply with.
func FuzzQuantised(f *testing.F) {
	for _, nested := range []bool{false, true} {
		layer := nf4Layer(nested)
		f.Add(layer[len(layer)-1].Data, uint16(48), uint16(3), uint16(2), nested)
	}
	f.Fuzz(func(t *testing.T, state []byte, codes, scales, nested uint16, double bool) {
		tensors := []Tensor{
			tensorOf("x.weight", device.U8, int(codes)), tensorOf("x.weight.quant_map", device.F32, 16),
			{Name: "x.weight" + nf4Suffix, DType: device.U8, Shape: []int{len(state)}, Data: state},
		}
		if double {
			tensors = append(tensors, tensorOf("x.weight.absmax", device.U8, int(scales)),
				tensorOf("x.weight.nested_absmax", device.F32, int(nested)), tensorOf("x.weight.nested_quant_map", device.F32, 256))
		} else {
			tensors = append(tensors, tensorOf("x.weight.absmax", device.F32, int(scales)))
		}
		file := &mapping{path: "fuzz"}
		entries := make(map[string]*entry)
		for _, x := range tensors {
			entries[x.Name] = &entry{file: file, dtype: x.DType, shape: x.Shape, offset: int64(len(file.data)), size: int64(len(x.Data))}
			file.data = append(file.data, x.Data...)
		}
		dev := &memory{}
		l := NewLoader(dev, newStore("fuzz", []*mapping{file}, contents{tensors: entries}, ""), nil)
		if w := l.Weight("x.weight"); l.Err() == nil {
			checkWeight(t, dev, w)
		}
	})
}

func TestOpenFetched(t *testing.T) {
	dir, plain := t.TempDir(), storeOf(t, 0, nil)
	if s, err := openFetched(dir, HighNoise, plain, Quant{Format: NF4}); s != nil || err != nil {
		t.Errorf("without a folder: %v, error %v", s, err)
	}
	folder := filepath.Join(dir, "high_noise_model_bnb_nf4")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := openFetched(dir, HighNoise, plain, Quant{Format: NF4}); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an empty folder: error %v", err)
	}
	var sources []Source
	for _, x := range nf4Layer(true) {
		sources = append(sources, x.Source())
	}
	if err := WriteSafetensors(filepath.Join(folder, "model.safetensors"), sources, nil); err != nil {
		t.Fatal(err)
	}
	s, err := openFetched(dir, HighNoise, plain, Quant{Format: NF4})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if s.Quantised() != NF4 {
		t.Errorf("kind %q", s.Quantised())
	}
	if kind := storeOf(t, 0, int8Layer()).Quantised(); kind != INT8 {
		t.Errorf("kind %q", kind)
	}
	if kind := storeOf(t, 0, nil).Quantised(); kind != "" {
		t.Errorf("kind %q", kind)
	}
}

func TestFingerprint(t *testing.T) {
	of := func(shift int, tensors ...Tensor) string {
		t.Helper()
		s, err := storeOf(t, shift, tensors).Fingerprint()
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	long := tensorOf("x", device.U8, 3*fingerprintEnd)
	same := of(1, long)
	seen := map[string]string{same: "the first"}
	for name, x := range map[string]Tensor{
		"name": {"y", long.DType, long.Shape, long.Data}, "dtype": {"x", device.I8, long.Shape, long.Data},
		"shape": {"x", long.DType, []int{3, fingerprintEnd}, long.Data},
	} {
		seen[of(1, x)] = name
	}
	for _, at := range []int{0, len(long.Data) - 1} {
		long.Data[at] = 1
		seen[of(1, long)] = fmt.Sprint("byte ", at)
		long.Data[at] = 0
	}
	if len(seen) != 6 || of(1, long) != same {
		t.Errorf("fingerprints of other tensors are equal: %v", seen)
	}
}
