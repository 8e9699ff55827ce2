package wan

import (
	"context"
	"fmt"

	"gimbal/inference/device"
	"gimbal/inference/nn"
	"gimbal/inference/weights"
)

// modelWeights are an expert's, named as in the checkpoint.
type modelWeights struct {
	patch                        nn.Linear // patch_embedding
	text0, text2                 nn.Linear // text_embedding
	time0, time2, timeProjection nn.Linear // time_embedding, time_projection

	camera                       nn.Linear // patch_embedding_wancamctrl
	cameraHidden1, cameraHidden2 nn.Linear // c2ws_hidden_states_layer1 and 2

	blocks         []blockWeights
	head           nn.Linear  // head.head
	headModulation device.Mat // [1, 2*dim]
}

type blockWeights struct {
	name       string     // blocks.N
	modulation device.Mat // [1, 6*dim]

	selfQ, selfK, selfV, selfO nn.Linear
	selfNormQ, selfNormK       device.Mat

	camInjector1, camInjector2, camScale, camShift nn.Linear

	norm3Weight, norm3Bias         device.Mat
	crossQ, crossK, crossV, crossO nn.Linear
	crossNormQ, crossNormK         device.Mat

	ffn0, ffn2 nn.Linear
}

// cameraBytes returns the size of the block's weights of the camera branch.
func (w *blockWeights) cameraBytes() (n int64) {
	for _, l := range []nn.Linear{w.camInjector1, w.camInjector2, w.camScale, w.camShift} {
		n += l.Weight.Data.Buf.Desc().Bytes()
	}
	return n
}

// loader reads layers.
type loader struct{ *weights.Loader }

// linear loads a layer of out x in weights and its bias; an in of 0 is taken from
// the file.
func (l loader) linear(name string, out, in int) nn.Linear {
	return nn.Linear{Weight: l.Weight(name+".weight", out, in), Bias: l.Vector(name+".bias", out)}
}

// weights loads all layers, those of the camera branch where camera says so.
// What is missing or misshapen is noted in l and left out. A patch size of 0 leaves
// the sizes of patches to the file.
func (l loader) weights(ctx context.Context, cfg Config, patchSize int, camera bool) (modelWeights, error) {
	dim := cfg.Dim
	w := modelWeights{
		patch:          l.linear("patch_embedding", dim, cfg.InDim*patchSize),
		text0:          l.linear("text_embedding.0", dim, 0),
		text2:          l.linear("text_embedding.2", dim, dim),
		time0:          l.linear("time_embedding.0", dim, cfg.FreqDim),
		time2:          l.linear("time_embedding.2", dim, dim),
		timeProjection: l.linear("time_projection.1", 6*dim, dim),
		head:           l.linear("head.head", cfg.OutDim*patchSize, dim),
		headModulation: l.Vector("head.modulation", 2*dim),
	}
	if camera {
		w.camera = l.linear("patch_embedding_wancamctrl", dim, 0)
		w.cameraHidden1 = l.linear("c2ws_hidden_states_layer1", dim, dim)
		w.cameraHidden2 = l.linear("c2ws_hidden_states_layer2", dim, dim)
	}
	for i := range cfg.NumLayers {
		if err := ctx.Err(); err != nil {
			return modelWeights{}, err
		}
		w.blocks = append(w.blocks, l.block(fmt.Sprintf("blocks.%d", i), cfg, camera))
	}
	return w, nil
}

func (l loader) block(name string, cfg Config, camera bool) blockWeights {
	dim := cfg.Dim
	square := func(layer string) nn.Linear { return l.linear(name+"."+layer, dim, dim) }
	vector := func(layer string) device.Mat { return l.Vector(name+"."+layer, dim) }
	w := blockWeights{
		name:        name,
		modulation:  l.Vector(name+".modulation", 6*dim),
		selfQ:       square("self_attn.q"),
		selfK:       square("self_attn.k"),
		selfV:       square("self_attn.v"),
		selfO:       square("self_attn.o"),
		selfNormQ:   vector("self_attn.norm_q.weight"),
		selfNormK:   vector("self_attn.norm_k.weight"),
		norm3Weight: vector("norm3.weight"),
		norm3Bias:   vector("norm3.bias"),
		crossQ:      square("cross_attn.q"),
		crossK:      square("cross_attn.k"),
		crossV:      square("cross_attn.v"),
		crossO:      square("cross_attn.o"),
		crossNormQ:  vector("cross_attn.norm_q.weight"),
		crossNormK:  vector("cross_attn.norm_k.weight"),
		ffn0:        l.linear(name+".ffn.0", cfg.FFNDim, dim),
		ffn2:        l.linear(name+".ffn.2", dim, cfg.FFNDim),
	}
	if camera {
		w.camInjector1 = square("cam_injector_layer1")
		w.camInjector2 = square("cam_injector_layer2")
		w.camScale = square("cam_scale_layer")
		w.camShift = square("cam_shift_layer")
	}
	return w
}
