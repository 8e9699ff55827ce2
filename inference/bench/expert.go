package bench

import (
	"fmt"
	"math"

	"gimbal/inference/camera"
	"gimbal/inference/checkpoint"
	"gimbal/inference/device"
)

// The sizes of an expert that Dims leave as they are in LingBot-World.
const (
	freqDim     = 256
	outDim      = 16           // channels of a latent
	inDim       = 2*outDim + 4 // latent, picture and mask
	textLen     = 512          // tokens
	patchVolume = 1 * 2 * 2    // latent positions of a token
	patchIn     = inDim * patchVolume
	patchOut    = outDim * patchVolume
)

// expertConfig is the synthetic expert's config.json.
func (d Dims) expertConfig() checkpoint.WanConfig {
	return checkpoint.WanConfig{
		Dim: d.Dim, FFNDim: d.FFN, FreqDim: freqDim, InDim: inDim, OutDim: outDim,
		NumHeads: d.Heads, NumLayers: d.Layers, TextLen: textLen, Eps: 1e-6,
	}
}

// expert adds an expert in bf16 with a camera branch that reads text contexts of
// text channels. Its weights keep the size of what goes through them.
func (t *tensors) expert(d Dims, text int) {
	dim := d.Dim
	t.bf16("patch_embedding.weight", 1/math.Sqrt(patchIn), dim, inDim, 1, 2, 2)
	t.bf16("patch_embedding.bias", 0.02, dim)
	t.linear("patch_embedding_wancamctrl", dim, camera.Channels*patchVolume)
	t.linear("c2ws_hidden_states_layer1", dim, dim)
	t.linear("c2ws_hidden_states_layer2", dim, dim)
	t.linear("text_embedding.0", dim, text)
	t.linear("text_embedding.2", dim, dim)
	t.linear("time_embedding.0", dim, freqDim)
	t.linear("time_embedding.2", dim, dim)
	t.linear("time_projection.1", 6*dim, dim)
	t.linear("head.head", patchOut, dim)
	t.bf16("head.modulation", 0.1, 1, 2, dim)
	for i := range d.Layers {
		t.block(fmt.Sprintf("blocks.%d.", i), d)
	}
}

func (t *tensors) block(name string, d Dims) {
	dim := d.Dim
	for _, layer := range []string{
		"self_attn.q", "self_attn.k", "self_attn.v", "self_attn.o", "cross_attn.q", "cross_attn.k", "cross_attn.v", "cross_attn.o",
		"cam_injector_layer1", "cam_injector_layer2", "cam_scale_layer", "cam_shift_layer",
	} {
		t.linear(name+layer, dim, dim)
	}
	for _, norm := range []string{
		"self_attn.norm_q.weight", "self_attn.norm_k.weight", "cross_attn.norm_q.weight", "cross_attn.norm_k.weight", "norm3.weight",
	} {
		t.add(name+norm, device.BF16, 1, 0.1, dim)
	}
	t.bf16(name+"norm3.bias", 0.1, dim)
	t.bf16(name+"modulation", 0.1, 1, 6, dim)
	t.linear(name+"ffn.0", d.FFN, dim)
	t.linear(name+"ffn.2", dim, d.FFN)
}

func (t *tensors) linear(name string, out, in int) {
	t.bf16(name+".weight", 1/math.Sqrt(float64(in)), out, in)
	t.bf16(name+".bias", 0.02, out)
}

func (t *tensors) bf16(name string, deviation float64, shape ...int) {
	t.add(name, device.BF16, 0, deviation, shape...)
}
