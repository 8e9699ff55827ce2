package weights_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"

	"gimbal/inference/device"
	"gimbal/inference/golden"
	"gimbal/inference/weights"
)

// sizes are those of an expert.
type sizes struct {
	dim, ffn, freq, text, layers int
	patch, head, camera          int // columns of the embeddings of latent and rays, rows of the head
}

// tensors lists an expert with a camera branch.
func (s sizes) tensors() []weights.Tensor {
	var all []weights.Tensor
	add := func(name string, shape ...int) {
		all = append(all, weights.Tensor{Name: name, DType: device.BF16, Shape: shape})
	}
	linear := func(name string, out, in int) {
		add(name+".weight", out, in)
		add(name+".bias", out)
	}
	add("patch_embedding.weight", s.dim, s.patch, 1, 1, 1)
	add("patch_embedding.bias", s.dim)
	linear("patch_embedding_wancamctrl", s.dim, s.camera)
	linear("text_embedding.0", s.dim, s.text)
	linear("time_embedding.0", s.dim, s.freq)
	for _, name := range []string{"text_embedding.2", "time_embedding.2", "c2ws_hidden_states_layer1", "c2ws_hidden_states_layer2"} {
		linear(name, s.dim, s.dim)
	}
	linear("time_projection.1", 6*s.dim, s.dim)
	linear("head.head", s.head, s.dim)
	add("head.modulation", 1, 2, s.dim)
	for i := range s.layers {
		block := fmt.Sprintf("blocks.%d.", i)
		for _, attention := range []string{"self_attn.", "cross_attn."} {
			for _, name := range []string{"q", "k", "v", "o"} {
				linear(block+attention+name, s.dim, s.dim)
			}
			add(block+attention+"norm_q.weight", s.dim)
			add(block+attention+"norm_k.weight", s.dim)
		}
		for _, name := range []string{"cam_injector_layer1", "cam_injector_layer2", "cam_scale_layer", "cam_shift_layer"} {
			linear(block+name, s.dim, s.dim)
		}
		linear(block+"ffn.0", s.ffn, s.dim)
		linear(block+"ffn.2", s.dim, s.ffn)
		add(block+"norm3.weight", s.dim)
		add(block+"norm3.bias", s.dim)
		add(block+"modulation", 1, 6, s.dim)
	}
	return all
}

// quantised returns the size of the file that is planned.
func (s sizes) quantised(t *testing.T, o weights.Quant) int64 {
	_, missing, _, err := weights.DryQuantised(t.TempDir(), "unheard of", weights.OfShapes("an expert", s.tensors()), o)
	if err != nil {
		t.Fatal(err)
	}
	return missing
}

// TestSize checks that the list of an expert's tensors is the reference's, that
// its quantised file has the size that arithmetic says, and what that is for the
// real model.
func TestSize(t *testing.T) {
	layout, err := weights.OpenLayout(golden.Checkpoint(t))
	if err != nil {
		t.Fatal(err)
	}
	defer layout.Close()
	for name, e := range layout.Experts {
		shape := func(name string) []int {
			x, err := e.Store.Tensor(name)
			if err != nil {
				t.Fatal(err)
			}
			return x.Shape
		}
		patchSize := shape("head.head.weight")[0] / e.Config.OutDim
		scaled := sizes{
			dim: e.Config.Dim, ffn: e.Config.FFNDim, freq: e.Config.FreqDim, layers: e.Config.NumLayers,
			text: shape("text_embedding.0.weight")[1], camera: shape("patch_embedding_wancamctrl.weight")[1],
			patch: e.Config.InDim * patchSize, head: e.Config.OutDim * patchSize,
		}
		want := make(map[string]int)
		for _, name := range e.Store.Names() {
			want[name] = device.Desc{Shape: shape(name)}.Len()
		}
		got := make(map[string]int)
		for _, x := range scaled.tensors() {
			got[x.Name] = device.Desc{Shape: x.Shape}.Len()
		}
		if !maps.Equal(got, want) {
			t.Fatalf("%s: tensors %v, want %v", name, got, want)
		}
		for _, o := range []weights.Quant{{Format: weights.NF4}, {Format: weights.NF4, Nested: true}, {Format: weights.INT8}} {
			store, err := weights.OpenQuantised(context.Background(), t.TempDir(), name, e.Store, o, func(int64, int64) {})
			if err != nil {
				t.Fatal(err)
			}
			defer store.Close()
			if data := dataBytes(t, store.Path()); data != scaled.quantised(t, o) {
				t.Errorf("%s %v: %d bytes, arithmetic says %d", name, o, data, scaled.quantised(t, o))
			}
		}
	}
	real := sizes{dim: 5120, ffn: 13824, freq: 256, text: 4096, layers: 40, patch: 144, head: 64, camera: 1536}
	for o, want := range map[weights.Quant][2]float64{
		{Format: weights.NF4}: {10, 10.5}, {Format: weights.NF4, Nested: true}: {9.4, 9.7}, {Format: weights.INT8}: {17.7, 18.6},
	} {
		size := float64(real.quantised(t, o)) / 1e9
		t.Logf("an expert in %v: %.3f GB", o, size)
		if size < want[0] || size > want[1] {
			t.Errorf("an expert in %v: %.3f GB, want %v to %v", o, size, want[0], want[1])
		}
	}
}

// dataBytes returns the bytes of a safetensors file after its header.
func dataBytes(t *testing.T, path string) int64 {
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var header int64
	for _, b := range slices.Backward(file[:8]) {
		header = header<<8 | int64(b)
	}
	return int64(len(file)) - 8 - header
}
