package weights_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"gimbal/inference/device"
	"gimbal/inference/golden"
	"gimbal/inference/wan"
	"gimbal/inference/weights"
)

// withTensors returns the reference's expert with more tensors.
func withTensors(t *testing.T, e weights.Expert, names ...string) *weights.Store {
	t.Helper()
	return copyOf(t, e.Store, func(x weights.Tensor) []weights.Tensor {
		all := []weights.Tensor{x}
		if x.Name == "head.modulation" {
			for _, name := range names {
				all = append(all, floatTensor(name, make([]float32, 4), 2, 2))
			}
		}
		return all
	})
}

func openLow(t *testing.T) weights.Expert {
	t.Helper()
	l, err := weights.OpenLayout(golden.Checkpoint(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Experts[weights.LowNoise]
}

// TestUnused makes sure that what a model does not use, and does as well without, is told,
// and loads.
func TestUnused(t *testing.T) {
	e := openLow(t)
	want := []string{"blocks.0.diff", "ema.decay", "extra.weight"}
	more := withTensors(t, e, append(want, "rope.freqs", "blocks.0.self_attn._extra_state")...)
	sizes, err := weights.ReadWanSizes(more, e.Config)
	if got := sizes.Table().Unused(more); err != nil || !slices.Equal(got, want) {
		t.Errorf("unused are %v, want %v, %v", got, want, err)
	}
	m, err := wan.Load(t.Context(), openDevice(t), more, e.Config)
	if err != nil {
		t.Fatal(err)
	}
	m.Close()
	stored := open(t, t.TempDir(), more, nf4)
	for _, name := range want {
		if x, err := stored.Tensor(name); err != nil || x.DType != device.F32 {
			t.Errorf("%s is quantised: %v, %v", name, x.DType, err)
		}
	}
}

// TestNeededTensors makes sure that a model is not run without tensors that would change
// what it computes.
func TestNeededTensors(t *testing.T) {
	e := openLow(t)
	const scale, layer = "scales of quantised weights", "parts of layers"
	for _, c := range []struct{ name, says string }{
		{"blocks.0.ffn.0.scale_weight", scale},
		{"blocks.0.ffn.0.weight_scale", scale},
		{"blocks.0.ffn.0.weight_scale_2", scale},
		{"blocks.0.ffn.0.weight_scale_inv", scale},
		{"blocks.0.ffn.0.weight.scale", scale},
		{"blocks.0.ffn.0.weight.absmax", scale},
		{"blocks.0.ffn.0.weight.quant_state.bitsandbytes__fp8", scale},
		{"blocks.0.ffn.0.SCALE", scale},
		{"blocks.0.ffn.0.comfy_quant", scale},
		{"blocks.0.ffn.0.qzeros", scale},
		{"blocks.0.self_attn.q_scale", scale},
		{"scales.blocks.0.ffn.0", scale},
		{"scaled_fp8", scale},
		{"blocks.0.self_attn.q.SCB2", scale},
		{"blocks.0.self_attn.q.lora_down.weight", layer},
		{"blocks.0.self_attn.q.alpha", layer},
		{"blocks.0.self_attn.norm_q.bias", layer},
		{"patch_embedding.proj.weight", layer},
		{"img_emb.proj.0.weight", "picture branch of Wan2.1"},
		{"blocks.1.cross_attn.k_img.weight", "picture branch of Wan2.1"},
		{"vace_blocks.0.ffn.0.weight", "VACE"},
	} {
		_, err := wan.Load(t.Context(), openDevice(t), withTensors(t, e, c.name), e.Config)
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", c.name)) || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v, want one that says %q", c.name, err, c.says)
		}
	}
	names := []string{}
	for i := range 30 {
		names = append(names, fmt.Sprintf("blocks.0.ffn.0.scale_%02d", i))
	}
	_, err := wan.Load(t.Context(), openDevice(t), withTensors(t, e, names...), e.Config)
	if err == nil || !strings.Contains(err.Error(), `30 tensors, such as "blocks.0.ffn.0.scale_00"`) {
		t.Errorf("30 scales: %v", err)
	}
}

// TestPartOfCamera makes sure that a camera branch is whole or not there at all.
func TestPartOfCamera(t *testing.T) {
	e := openLow(t)
	for _, missing := range []string{"patch_embedding_wancamctrl.weight", "c2ws_hidden_states_layer1.weight", "blocks.1.cam_scale_layer.weight"} {
		part := copyOf(t, e.Store, func(x weights.Tensor) []weights.Tensor {
			if x.Name == missing {
				return nil
			}
			return []weights.Tensor{x}
		})
		if _, err := wan.Load(t.Context(), openDevice(t), part, e.Config); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", missing)) {
			t.Errorf("without %s: %v", missing, err)
		}
	}
}
