package weights_test

import (
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gimbal/inference/cpu"
	"gimbal/inference/device"
	"gimbal/inference/golden"
	"gimbal/inference/wan"
	"gimbal/inference/weights"
)

// copyOf writes an expert's tensors to a new file, each as change says, and opens it.
func copyOf(tb testing.TB, source *weights.Store, change func(t weights.Tensor) []weights.Tensor) *weights.Store {
	tb.Helper()
	var sources []weights.Source
	for _, name := range source.Names() {
		t, err := source.Tensor(name)
		if err != nil {
			tb.Fatal(err)
		}
		for _, x := range change(t) {
			sources = append(sources, x.Source())
		}
	}
	path := filepath.Join(tb.TempDir(), "model.safetensors")
	if err := weights.WriteSafetensors(path, sources, nil); err != nil {
		tb.Fatal(err)
	}
	s, err := weights.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Close() })
	return s
}

func floatTensor(name string, values []float32, shape ...int) weights.Tensor {
	return weights.Tensor{Name: name, DType: device.F32, Shape: shape, Data: device.Bytes(values)}
}

// bnb makes the tensors of one layer as bitsandbytes stores them, and the values
// that they stand for, value by value, sharing nothing with the code under test.
type bnb func(t weights.Tensor, w []float32) (stored []weights.Tensor, values []float32)

// nf4Layer is bnb for NF4 in blocks of size values; nested quantises the scales.
func nf4Layer(size int, nested bool) bnb {
	return func(t weights.Tensor, w []float32) (stored []weights.Tensor, values []float32) {
		var absmax []float32
		for i, v := range w {
			if i%size == 0 {
				absmax = append(absmax, 0)
			}
			absmax[i/size] = max(absmax[i/size], v, -v)
		}
		codes := make([]byte, len(w)/2)
		nearest := make([]int, len(w))
		for i, v := range w {
			x, c := float64(v/absmax[i/size]), 0
			for c < 15 && 2*x > float64(weights.NF4Code[c])+float64(weights.NF4Code[c+1]) {
				c++
			}
			nearest[i] = c
			codes[i/2] |= byte(c << (4 * (1 - i%2)))
		}
		state := map[string]any{"quant_type": "nf4", "blocksize": size, "dtype": "bfloat16", "shape": t.Shape}
		stored = []weights.Tensor{
			{Name: t.Name, DType: device.U8, Shape: []int{len(codes), 1}, Data: codes},
			floatTensor(t.Name+".quant_map", weights.NF4Code[:], 16),
		}
		if nested {
			const block, offset = 16, 0.02
			table := make([]float32, 256) // any ascending values do
			for i := range table {
				table[i] = float32(i-127) / 128
			}
			var scales []float32
			codes8 := make([]byte, len(absmax))
			for i, a := range absmax {
				if i%block == 0 {
					scales = append(scales, 0.05+float32(i)/1000)
				}
				scale := scales[i/block]
				codes8[i] = byte(max(0, min(255, math.Round(float64((a-offset)/scale*128))+127)))
				absmax[i] = table[codes8[i]]*scale + offset
			}
			state["nested_blocksize"], state["nested_offset"], state["nested_dtype"] = block, offset, "float32"
			stored = append(stored, floatTensor(t.Name+".nested_absmax", scales, len(scales)),
				floatTensor(t.Name+".nested_quant_map", table, 256),
				weights.Tensor{Name: t.Name + ".absmax", DType: device.U8, Shape: []int{len(codes8)}, Data: codes8})
		} else {
			stored = append(stored, floatTensor(t.Name+".absmax", absmax, len(absmax)))
		}
		text, _ := json.Marshal(state)
		stored = append(stored, weights.Tensor{Name: t.Name + ".quant_state.bitsandbytes__nf4", DType: device.U8, Shape: []int{len(text)}, Data: text})
		for i, c := range nearest {
			values = append(values, weights.NF4Code[c]*absmax[i/size])
		}
		return stored, values
	}
}

// int8Layer is bnb for INT8.
func int8Layer(t weights.Tensor, w []float32) (stored []weights.Tensor, values []float32) {
	cols := t.Shape[1]
	codes, scb := make([]byte, len(w)), make([]float32, t.Shape[0])
	for i, v := range w {
		scb[i/cols] = max(scb[i/cols], v, -v)
	}
	for i, v := range w {
		q := math.RoundToEven(float64(v) * 127 / float64(scb[i/cols]))
		codes[i] = byte(int8(q))
		values = append(values, float32(q*float64(scb[i/cols])/127))
	}
	base := strings.TrimSuffix(t.Name, "weight")
	return []weights.Tensor{
		{Name: t.Name, DType: device.I8, Shape: t.Shape, Data: codes},
		floatTensor(base+"SCB", scb, len(scb)),
		{Name: base + "weight_format", DType: device.U8, Data: []byte{0}},
	}, values
}

// linear reports whether t is the weight of a torch.nn.Linear: all of them are
// quantised in the checkpoints that others made.
func linear(t weights.Tensor) bool {
	return len(t.Shape) == 2 && strings.HasSuffix(t.Name, ".weight")
}

// TestBitsandbytes runs the reference's cases with experts stored in bitsandbytes'
// layout, and compares with the values that they stand for stored as F32.
func TestBitsandbytes(t *testing.T) {
	dev := openDevice(t)
	for name, layer := range map[string]bnb{
		"nf4": nf4Layer(64, false), "nf4 nested": nf4Layer(64, true), "nf4 blocks of 32": nf4Layer(32, true), "int8": int8Layer,
	} {
		for _, c := range golden.Cases(t, "dit_") {
			e := expertOf(t, c)
			dense := make(map[string]weights.Tensor)
			quantised := copyOf(t, e.Store, func(x weights.Tensor) []weights.Tensor {
				dense[x.Name] = x
				if !linear(x) {
					return []weights.Tensor{x}
				}
				w, err := x.Float32s()
				if err != nil {
					t.Fatal(err)
				}
				stored, values := layer(x, w)
				dense[x.Name] = floatTensor(x.Name, values, x.Shape...)
				return stored
			})
			widened := copyOf(t, e.Store, func(x weights.Tensor) []weights.Tensor { return []weights.Tensor{dense[x.Name]} })
			got, want := velocity(t, dev, quantised, e, c), velocity(t, dev, widened, e, c)
			golden.Check(t, name+" "+c.Name, got, want, 1e-5)
			reference, _ := c.F32(t, "out")
			t.Logf("%s %s: %.2g from F32, %.2g from the reference", name, c.Name, golden.RelL2(got, want), golden.RelL2(got, reference))
		}
	}
}

// TestOwn runs the reference's cases with the experts that Open makes: not far from
// the reference, and, from the decoded values stored as F32, by rounding only.
func TestOwn(t *testing.T) {
	dev := openDevice(t)
	for _, o := range []weights.Quant{{Format: weights.INT8}, {Format: weights.NF4}, {Format: weights.NF4, Nested: true}} {
		bound := map[weights.Format]float64{weights.INT8: 0.03, weights.NF4: 0.3}[o.Format]
		for _, c := range golden.Cases(t, "dit_") {
			e := expertOf(t, c)
			store := open(t, t.TempDir(), e.Store, o)
			got := velocity(t, dev, store, e, c)
			want, _ := c.F32(t, "out")
			golden.Check(t, fmt.Sprint(o, " ", c.Name), got, want, bound)
			t.Logf("%v %s: %.2g from the reference", o, c.Name, golden.RelL2(got, want))
			golden.Check(t, fmt.Sprint(o, " decoded"), got, velocity(t, dev, decoded(t, e.Store, o), e, c), 1e-5)
		}
	}
}

// decoded returns the expert with the weights that o's quantisation of them stands for.
func decoded(t *testing.T, source *weights.Store, o weights.Quant) *weights.Store {
	quantised := open(t, t.TempDir(), source, o)
	return copyOf(t, source, func(x weights.Tensor) []weights.Tensor {
		if !quantised.Has(x.Name+".absmax") && !quantised.Has(strings.TrimSuffix(x.Name, "weight")+"SCB") {
			return []weights.Tensor{x}
		}
		w, err := x.Float32s()
		if err != nil {
			t.Fatal(err)
		}
		if o.Format == weights.INT8 {
			codes, scale := make([]byte, len(w)), make([]float32, x.Shape[0])
			weights.EncodeINT8(codes, scale, w)
			weights.DecodeINT8(w, codes, scale)
			return []weights.Tensor{floatTensor(x.Name, w, x.Shape...)}
		}
		nc, ns := weights.NF4Len(len(w), weights.NF4Block)
		codes, absmax := make([]byte, nc), make([]float32, ns)
		weights.EncodeNF4(codes, absmax, w, weights.NF4Block)
		if o.Nested {
			codes8, nested := make([]byte, ns), make([]float32, (ns+weights.NestedBlock-1)/weights.NestedBlock)
			offset := weights.EncodeNested(codes8, nested, absmax)
			weights.DecodeNested(absmax, codes8, nested, offset)
		}
		weights.DecodeNF4(w, codes, absmax, weights.NF4Block)
		return []weights.Tensor{floatTensor(x.Name, w, x.Shape...)}
	})
}

// TestKept makes sure that what is no linear layer, and the layers at the model's
// ends, are stored as they were.
func TestKept(t *testing.T) {
	e := expertOf(t, golden.Cases(t, "dit_")[0])
	for _, o := range []weights.Quant{{Format: weights.INT8}, {Format: weights.NF4, Nested: true}} {
		store := open(t, t.TempDir(), e.Store, o)
		quantised := 0
		for _, name := range e.Store.Names() {
			was, _ := e.Store.Tensor(name)
			is, err := store.Tensor(name)
			if err != nil {
				t.Fatal(err)
			}
			end := slices.ContainsFunc([]string{"patch_embedding.", "time_embedding.", "head."}, func(s string) bool { return strings.HasPrefix(name, s) })
			same := is.DType == was.DType && slices.Equal(is.Shape, was.Shape) && string(is.Data) == string(was.Data)
			if keep := !linear(was) || end; keep != same {
				t.Errorf("%v: %s of %v %v is %v %v now, kept: %v", o, name, was.DType, was.Shape, is.DType, is.Shape, same)
			}
			if !same {
				quantised++
			}
		}
		if want := 14 * e.Config.NumLayers; quantised < want {
			t.Errorf("%v: %d layers quantised, want at least %d", o, quantised, want)
		}
	}
}

func openDevice(tb testing.TB) device.Device {
	tb.Helper()
	dev, err := cpu.Open(cpu.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { dev.Close() })
	return dev
}

// expertOf opens the expert that a case is for.
func expertOf(tb testing.TB, c golden.Case) weights.Expert {
	tb.Helper()
	var scalars struct{ Expert string }
	c.Scalars(tb, &scalars)
	layout, err := weights.OpenLayout(golden.Checkpoint(tb))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { layout.Close() })
	return layout.Experts[scalars.Expert]
}

// open quantises source in folder dir.
func open(tb testing.TB, dir string, source *weights.Store, o weights.Quant) *weights.Store {
	tb.Helper()
	store, err := weights.OpenQuantised(tb.Context(), dir, "expert", source, o, func(done, total int64) {})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { store.Close() })
	return store
}

// velocity runs a case with the weights of store.
func velocity(tb testing.TB, dev device.Device, store *weights.Store, e weights.Expert, c golden.Case) []float32 {
	tb.Helper()
	m, err := wan.Load(tb.Context(), dev, store, e.Config)
	if err != nil {
		tb.Fatal(err)
	}
	defer m.Close()
	x, shape := c.F32(tb, "x")
	in := wan.Input{F: shape[1], H: shape[2], W: shape[3], Reuse: wan.AllReuse}
	in.Y, _ = c.F32(tb, "y")
	text, words := c.F32(tb, "context")
	in.Contexts = []wan.Context{{Tokens: words[0], States: text}}
	if slices.Contains(c.Names(), "plucker") {
		in.Camera = true
		in.Plucker, _ = c.F32(tb, "plucker")
	}
	s, err := m.NewSession(tb.Context(), in)
	if err != nil {
		tb.Fatal(err)
	}
	defer s.Close()
	var scalars struct{ T float64 }
	c.Scalars(tb, &scalars)
	if err := s.Velocity(tb.Context(), x, scalars.T, 0, x); err != nil {
		tb.Fatal(err)
	}
	return x
}

// TestBF16 rounds an expert of F32, and leaves one of BF16 as it is.
func TestBF16(t *testing.T) {
	dev, c, q := openDevice(t), golden.Cases(t, "dit_")[0], weights.Quant{Format: weights.BF16}
	e := expertOf(t, c)
	dir := t.TempDir()
	if same := open(t, dir, e.Store, q); same != e.Store {
		t.Error("an expert of BF16 was rounded once more")
	}
	wide := copyOf(t, e.Store, func(x weights.Tensor) []weights.Tensor {
		w, err := x.Float32s()
		if err != nil {
			t.Fatal(err)
		}
		return []weights.Tensor{floatTensor(x.Name, w, x.Shape...)}
	})
	if weights.HasQuantised(dir, e.Store.Path(), wide, q) {
		t.Error("rounded weights are there before they were made")
	}
	store := open(t, dir, wide, q)
	if narrow, all := store.Bytes(), wide.Bytes(); narrow > all*6/10 {
		t.Errorf("%d bytes of %d", narrow, all)
	}
	got, want := velocity(t, dev, store, e, c), velocity(t, dev, wide, e, c)
	golden.Check(t, "values that BF16 holds", got, want, 1e-6)
}

func TestEncodeBF16(t *testing.T) {
	for _, c := range [][2]uint32{
		{0x3f800000, 0x3f80}, {0x3f808000, 0x3f80}, {0x3f818000, 0x3f82}, {0x3f808001, 0x3f81}, {0xbf80ffff, 0xbf81},
		{0x7f800000, 0x7f80}, {0x7f7fffff, 0x7f80}, {0x7f800001, 0x7fc0}, {0xffffffff, 0xffff}, {0, 0}, {0x80000000, 0x8000},
	} {
		if got := weights.EncodeBF16(math.Float32frombits(c[0])); got != uint16(c[1]) {
			t.Errorf("%08x becomes %04x, want %04x", c[0], got, c[1])
		}
	}
}
