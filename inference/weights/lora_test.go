package weights_test

import (
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gimbal/inference/cpu"
	"gimbal/inference/device"
	"gimbal/inference/golden"
	"gimbal/inference/nn"
	"gimbal/inference/wan/wantest"
	"gimbal/inference/weights"
)

// TestLoRARows compares the first rows of the weights that LoRAs change with the reference's.
func TestLoRARows(t *testing.T) {
	const bound = 1e-6
	dev, err := cpu.Open(cpu.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	for _, c := range wantest.Cases(t) {
		e := c.Open(t)
		sizes, err := weights.ReadWanSizes(e.Store, e.Config)
		if err != nil {
			t.Fatal(err)
		}
		l := weights.NewLoader(dev, e.Store, sizes.Table())
		l.Adapt(c.Adapt(t, e))
		for _, name := range c.Names() {
			if name == "out" {
				continue
			}
			want, _ := c.F32(t, name)
			got := adapted(t, dev, l, name)
			golden.Check(t, c.Name+" "+name, got[:len(want)], want, bound)
		}
		if err := l.Err(); err != nil {
			t.Error(err)
		}
		l.Release()
	}
}

// TestLargeHadamard makes sure that a LoHa of large ranks, whose product would be as large as the
// layer, stays in factors, and changes the layer as the product does.
func TestLargeHadamard(t *testing.T) {
	dev, err := cpu.Open(cpu.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	e := wantest.Cases(t)[0].Open(t)
	sizes, err := weights.ReadWanSizes(e.Store, e.Config)
	if err != nil {
		t.Fatal(err)
	}
	const module, rank = "blocks.0.self_attn.q", 9
	l := weights.NewLoader(dev, e.Store, sizes.Table())
	defer l.Release()
	before := adapted(t, dev, l, module+".weight")
	n := l.Spec(module + ".weight").Shape[0]
	a := &weights.Adaptation{}
	file := loraFile(t, "loha.safetensors", map[string][]int{module + ".hada_w1_a": {n, rank}, module + ".hada_w1_b": {rank, n}, module + ".hada_w2_a": {n, rank}, module + ".hada_w2_b": {rank, n}})
	if _, err := a.Add(file, sizes, 0.5); err != nil {
		t.Fatal(err)
	}
	l.Adapt(a)
	for _, s := range l.Sides(module + ".weight") {
		if s.Up.In != rank || s.Down.In != rank || s.OtherUp.In != rank || s.OtherDown.In != rank || rank*rank <= n/2 {
			t.Fatalf("of %d rows and columns: %+v", n, s)
		}
	}
	for i, got := range adapted(t, dev, l, module+".weight") {
		if want := before[i] + 0.5*rank*rank; math.Abs(float64(got-want)) > 1e-4 {
			t.Fatalf("element %d is %g, want %g", i, got, want)
		}
	}
}

// adapted returns the values of a tensor of the loader's as a layer has them: a matrix is
// what the layer makes of the unit vectors.
func adapted(t *testing.T, dev device.Device, l *weights.Loader, name string) []float32 {
	arena := nn.NewArena(dev)
	defer arena.Release()
	y := device.Mat{}
	switch l.Spec(name).Role {
	case weights.Linear, weights.Conv:
		layer := nn.Linear{Weight: l.Weight(name), Narrow: &nn.Narrow{}}
		for _, s := range l.Sides(name) {
			layer.Sides = append(layer.Sides, nn.Side(s))
		}
		in, out := layer.Weight.In, layer.Weight.Out
		unit := arena.Filled(t.Context(), "unit", in, in, func(values []float32) {
			for i := range in {
				values[i*in+i] = 1
			}
		})
		if n := layer.Room().Values(in); n > 0 {
			layer.Narrow.Mat = arena.Mat("narrow", device.F32, 1, n)
		}
		columns := arena.Mat("columns", device.F32, in, out)
		y = arena.Mat("rows", device.F32, out, in)
		err := dev.Do(t.Context(), "layer", func(enc device.Encoder) {
			layer.Record(enc, unit, columns, nn.Epilogue{})
			enc.Record(device.Move{X: columns, Y: y, Transpose: true})
		})
		if err != nil {
			t.Fatal(err)
		}
	default:
		y = l.Vector(name)
	}
	values := make([]float32, y.Rows*y.Cols)
	if err := errors.Join(arena.Err(), dev.Read(t.Context(), device.Bytes(values), y.Buf)); err != nil {
		t.Fatal(err)
	}
	return values
}

// loraFile writes tensors of ones, of the shapes given by name, and opens them.
func loraFile(t *testing.T, name string, shapes map[string][]int) *weights.LoRA {
	t.Helper()
	var tensors []weights.Source
	for key, shape := range shapes {
		n := device.Desc{Shape: shape}.Len()
		ones := slices.Repeat([]float32{1}, n)
		tensors = append(tensors, weights.Source{Name: key, DType: device.F32, Shape: shape, Write: func(w io.Writer) error {
			_, err := w.Write(device.Bytes(ones))
			return err
		}})
	}
	path := filepath.Join(t.TempDir(), name)
	if err := weights.WriteSafetensors(path, tensors, nil); err != nil {
		t.Fatal(err)
	}
	l, err := weights.OpenLoRA(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

var small = weights.Dims{Dim: 8, FFN: 16, Heads: 2, Layers: 2, VAE: 4, Text: 12}.ExpertSizes()

func TestLoRAKeys(t *testing.T) {
	const q = "blocks.1.self_attn.q"
	pair := func(module string) map[string][]int {
		return map[string][]int{module + ".lora_A.weight": {2, 8}, module + ".lora_B.weight": {8, 2}}
	}
	with := func(keys map[string][]int, more ...string) map[string][]int {
		for _, key := range more {
			keys[key] = []int{1}
		}
		return keys
	}
	for _, c := range []struct {
		name    string
		keys    map[string][]int
		changed []string
		ignored []string
	}{
		{"bare", pair(q), []string{q + ".weight"}, nil},
		{"prefixes", pair("base_model.model.diffusion_model." + q), []string{q + ".weight"}, nil},
		{"pipe", pair("pipe.dit." + q), []string{q + ".weight"}, nil},
		{"an adapter", map[string][]int{q + ".lora_A.mine.weight": {2, 8}, q + ".lora_B.mine.weight": {8, 2}}, []string{q + ".weight"}, nil},
		{"old diffusers", map[string][]int{"transformer.blocks.1.attn1.to_q.lora.down.weight": {2, 8}, "transformer.blocks.1.attn1.to_q.lora.up.weight": {8, 2}}, []string{q + ".weight"}, nil},
		{"norm2 is norm3", map[string][]int{"transformer.blocks.1.norm2.diff": {8}, "transformer.blocks.1.norm2.diff_b": {8}}, []string{"blocks.1.norm3.bias", "blocks.1.norm3.weight"}, nil},
		{"camera", map[string][]int{"lora_unet_blocks_1_cam_scale_layer.lora_down.weight": {1, 8}, "lora_unet_blocks_1_cam_scale_layer.lora_up.weight": {8, 1}, "lora_unet_blocks_1_cam_scale_layer.alpha": {}}, []string{"blocks.1.cam_scale_layer.weight"}, nil},
		{"modulation", map[string][]int{"blocks.0.diff_m": {1, 6, 8}, "blocks.1.modulation.diff": {6, 8}, "head.diff_m": {1, 2, 8}}, []string{"blocks.0.modulation", "blocks.1.modulation", "head.modulation"}, nil},
		{"a convolution", map[string][]int{"patch_embedding.lora_down.weight": {2, 36, 1, 2, 2}, "patch_embedding.lora_up.weight": {8, 2, 1, 1, 1}}, []string{"patch_embedding.weight"}, nil},
		{"twice", map[string][]int{q + ".diff_b": {8}, "diffusion_model." + q + ".diff_b": {8}}, []string{q + ".bias"}, []string{"diffusion_model." + q + ".diff_b"}},
		{"unknown", with(pair(q), "step", q+".bias"), []string{q + ".weight"}, []string{q + ".bias", "step"}},
		{"half a pair", map[string][]int{q + ".lora_A.weight": {2, 8}, q + ".diff_b": {8}}, []string{q + ".bias"}, []string{q + ".lora_A.weight"}},
		{"Tucker's", map[string][]int{q + ".lora_down.weight": {2, 8}, q + ".lora_up.weight": {8, 2}, q + ".lora_mid.weight": {2, 2}, q + ".diff_b": {8}}, []string{q + ".bias"},
			[]string{q + ".lora_down.weight", q + ".lora_mid.weight", q + ".lora_up.weight"}},
		{"a large Hadamard product", map[string][]int{q + ".hada_w1_a": {8, 3}, q + ".hada_w1_b": {3, 8}, q + ".hada_w2_a": {8, 3}, q + ".hada_w2_b": {3, 8}}, []string{q + ".weight"}, nil},
		{"Kronecker of two products", map[string][]int{q + ".lokr_w1_a": {2, 1}, q + ".lokr_w1_b": {1, 2}, q + ".lokr_w2_a": {4, 1}, q + ".lokr_w2_b": {1, 4}}, []string{q + ".weight"}, nil},
		{"sizes", map[string][]int{q + ".lokr_w1": {3, 2}, q + ".lokr_w2": {4, 4}, q + ".diff_b": {8}}, []string{q + ".bias"}, []string{q + ".lokr_w1", q + ".lokr_w2"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var a weights.Adaptation
			report, err := a.Add(loraFile(t, "lora.safetensors", c.keys), small, 1)
			if err != nil || !slices.Equal(a.Tensors(), c.changed) || !slices.Equal(report.Ignored, c.ignored) {
				t.Errorf("changed %q, ignored %q, %v; want %q and %q", a.Tensors(), report.Ignored, err, c.changed, c.ignored)
			}
		})
	}
}

func TestLoRARefused(t *testing.T) {
	for want, keys := range map[string]map[string][]int{
		"another model": {"blocks.9.self_attn.q.lora_A.weight": {2, 8}, "blocks.9.self_attn.q.lora_B.weight": {8, 2}},
		"whole model":   {"model.diffusion_model.blocks.0.self_attn.q.weight": {8, 8}},
		"DoRA":          {"blocks.0.self_attn.q.dora_scale": {8}},
		"magnitudes":    {"blocks.0.self_attn.q.lora_magnitude_vector.default.weight": {8}},
	} {
		var a weights.Adaptation
		l := loraFile(t, "lora.safetensors", keys)
		if _, err := a.Add(l, small, 1); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), l.Path()) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// TestLoRAConfig scales by the configuration beside a file of peft's.
func TestLoRAConfig(t *testing.T) {
	dev, err := cpu.Open(cpu.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	const q = "blocks.0.self_attn.q"
	path := filepath.Join(t.TempDir(), "model.safetensors")
	if err := weights.WriteSafetensors(path, small.Table().Random(t.Context(), device.F32), nil); err != nil {
		t.Fatal(err)
	}
	store, err := weights.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	for config, want := range map[string]float32{
		``:                                      4,
		`{"lora_alpha": 8}`:                     4 * 8 / 4,
		`{"lora_alpha": 8, "use_rslora": true}`: 4 * 8 / 2,
	} {
		l := loraFile(t, "adapter_model.safetensors", map[string][]int{q + ".lora_A.weight": {4, 8}, q + ".lora_B.weight": {8, 4}})
		if config != "" {
			if err := os.WriteFile(filepath.Join(filepath.Dir(l.Path()), "adapter_config.json"), []byte(config), 0o644); err != nil {
				t.Fatal(err)
			}
			if l, err = weights.OpenLoRA(l.Path()); err != nil {
				t.Fatal(err)
			}
			defer l.Close()
		}
		values := func(a *weights.Adaptation) []float32 {
			loader := weights.NewLoader(dev, store, small.Table())
			defer loader.Release()
			loader.Adapt(a)
			return adapted(t, dev, loader, q+".weight")
		}
		var a weights.Adaptation
		if _, err := a.Add(l, small, 1); err != nil {
			t.Fatal(err)
		}
		if before, after := values(nil), values(&a); after[3]-before[3] < want*0.999 || after[3]-before[3] > want*1.001 {
			t.Errorf("%s adds %v, want %v", config, after[3]-before[3], want)
		}
	}
	bad := loraFile(t, "adapter_model.safetensors", map[string][]int{"a": {1}}).Path()
	if err := os.WriteFile(filepath.Join(filepath.Dir(bad), "adapter_config.json"), []byte(`{"lora_alpha": "8"`), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := weights.OpenLoRA(bad); err == nil || !strings.Contains(err.Error(), "adapter_config.json") {
		t.Errorf("a bad configuration: %v", err)
	}
}
