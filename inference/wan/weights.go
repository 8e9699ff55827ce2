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
type loader struct {
	*weights.Loader
	narrow *nn.Narrow
	room   *nn.Room // that the layers need
}

func (l loader) linear(name string) nn.Linear {
	layer := nn.Linear{Weight: l.Weight(name + ".weight"), Bias: l.Vector(name + ".bias"), Narrow: l.narrow}
	for _, s := range l.Sides(name + ".weight") {
		layer.Sides = append(layer.Sides, nn.Side(s))
	}
	*l.room = l.room.Or(layer.Room())
	return layer
}

// weights loads all layers. What is missing or misshapen is noted in l and left out.
func (l loader) weights(ctx context.Context, sizes weights.WanSizes) (modelWeights, error) {
	w := modelWeights{
		patch:          l.linear("patch_embedding"),
		text0:          l.linear("text_embedding.0"),
		text2:          l.linear("text_embedding.2"),
		time0:          l.linear("time_embedding.0"),
		time2:          l.linear("time_embedding.2"),
		timeProjection: l.linear("time_projection.1"),
		head:           l.linear("head.head"),
		headModulation: l.Vector("head.modulation"),
	}
	if sizes.Camera {
		w.camera = l.linear("patch_embedding_wancamctrl")
		w.cameraHidden1 = l.linear("c2ws_hidden_states_layer1")
		w.cameraHidden2 = l.linear("c2ws_hidden_states_layer2")
	}
	for i := range sizes.Config.NumLayers {
		if err := ctx.Err(); err != nil {
			return modelWeights{}, err
		}
		w.blocks = append(w.blocks, l.block(fmt.Sprintf("blocks.%d", i), sizes.Camera))
	}
	return w, nil
}

func (l loader) block(name string, camera bool) blockWeights {
	linear := func(layer string) nn.Linear { return l.linear(name + "." + layer) }
	vector := func(tensor string) device.Mat { return l.Vector(name + "." + tensor) }
	w := blockWeights{
		name:        name,
		modulation:  vector("modulation"),
		selfQ:       linear("self_attn.q"),
		selfK:       linear("self_attn.k"),
		selfV:       linear("self_attn.v"),
		selfO:       linear("self_attn.o"),
		selfNormQ:   vector("self_attn.norm_q.weight"),
		selfNormK:   vector("self_attn.norm_k.weight"),
		norm3Weight: vector("norm3.weight"),
		norm3Bias:   vector("norm3.bias"),
		crossQ:      linear("cross_attn.q"),
		crossK:      linear("cross_attn.k"),
		crossV:      linear("cross_attn.v"),
		crossO:      linear("cross_attn.o"),
		crossNormQ:  vector("cross_attn.norm_q.weight"),
		crossNormK:  vector("cross_attn.norm_k.weight"),
		ffn0:        linear("ffn.0"),
		ffn2:        linear("ffn.2"),
	}
	if camera {
		w.camInjector1 = linear("cam_injector_layer1")
		w.camInjector2 = linear("cam_injector_layer2")
		w.camScale = linear("cam_scale_layer")
		w.camShift = linear("cam_shift_layer")
	}
	return w
}
