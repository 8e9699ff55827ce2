package weights

import (
	"maps"
	"slices"
	"testing"
)

// TestRenaming compares names of other tools with the original ones.
func TestRenaming(t *testing.T) {
	for _, c := range []struct {
		layout   keyLayout
		from, to string
	}{
		{fastVideoExpert, "blocks.12.to_out.weight", "blocks.12.self_attn.o.weight"},
		{fastVideoExpert, "blocks.1.attn2.to_out.bias", "blocks.1.cross_attn.o.bias"},
		{fastVideoExpert, "blocks.1.attn2.norm_k.weight", "blocks.1.cross_attn.norm_k.weight"},
		{fastVideoExpert, "blocks.1.self_attn_residual_norm.norm.bias", "blocks.1.norm3.bias"},
		{fastVideoExpert, "blocks.1.cam_conditioner.cam_injector.fc_out.weight", "blocks.1.cam_injector_layer2.weight"},
		{fastVideoExpert, "blocks.1.cam_conditioner.cam_scale_layer.weight", "blocks.1.cam_scale_layer.weight"},
		{fastVideoExpert, "c2ws_mlp.fc_in.weight", "c2ws_hidden_states_layer1.weight"},
		{fastVideoExpert, "patch_embedding_wancamctrl.proj.weight", "patch_embedding_wancamctrl.weight"},
		{fastVideoExpert, "condition_embedder.time_modulation.linear.bias", "time_projection.1.bias"},
		{diffusersExpert, "blocks.3.attn1.to_q.weight.quant_state.bitsandbytes__nf4", "blocks.3.self_attn.q.weight.quant_state.bitsandbytes__nf4"},
		{diffusersExpert, "blocks.3.attn1.to_out.0.scale_weight", "blocks.3.self_attn.o.scale_weight"},
		{diffusersExpert, "blocks.3.norm2.weight", "blocks.3.norm3.weight"},
		{diffusersExpert, "blocks.3.cam_shift_layer.bias", "blocks.3.cam_shift_layer.bias"},
		{diffusersExpert, "blocks.x.norm2.weight", "blocks.x.norm2.weight"},
		{diffusersVAE, "decoder.up_blocks.2.resnets.1.conv2.weight", "decoder.upsamples.9.residual.6.weight"},
		{diffusersVAE, "decoder.up_blocks.1.upsamplers.0.time_conv.bias", "decoder.upsamples.7.time_conv.bias"},
		{diffusersVAE, "encoder.down_blocks.5.resample.1.weight", "encoder.downsamples.5.resample.1.weight"},
		{diffusersVAE, "encoder.down_blocks.3.conv_shortcut.weight", "encoder.downsamples.3.shortcut.weight"},
		{diffusersVAE, "encoder.mid_block.resnets.1.norm1.gamma", "encoder.middle.2.residual.0.gamma"},
		{diffusersVAE, "decoder.mid_block.attentions.0.to_qkv.bias", "decoder.middle.1.to_qkv.bias"},
		{diffusersVAE, "post_quant_conv.weight", "conv2.weight"},
		{diffusersVAE, "decoder.norm_out.gamma", "decoder.head.0.gamma"},
	} {
		if got := c.layout.rename(c.from); got != c.to {
			t.Errorf("%s is %s, want %s", c.from, got, c.to)
		}
	}
}

// TestAllInOne takes each model out of a file that holds all, each behind its own prefix.
func TestAllInOne(t *testing.T) {
	tensors := map[string]*entry{"first_stage_model.extra": {}}
	for prefix, at := range map[string]int{"model.diffusion_model.": 0, "text_encoders.umt5xxl.transformer.": 5, "first_stage_model.": 2} {
		for _, name := range keyLayouts[at].signature {
			tensors[prefix+name] = &entry{}
		}
	}
	if keyLayouts[5].kind != KindText {
		t.Fatal("the layouts are in another order")
	}
	for kind, want := range map[Kind][]string{
		KindExpert: keyLayouts[0].signature,
		KindText:   {"blocks.0.attn.q.weight", "blocks.0.pos_embedding.embedding.weight", "norm.weight"},
		KindVAE:    append([]string{"extra"}, keyLayouts[2].signature...),
	} {
		got := slices.Sorted(maps.Keys(canonical(tensors, models(tensors), kind)))
		if slices.Sort(want); !slices.Equal(got, want) {
			t.Errorf("%s is %v, want %v", kind, got, want)
		}
	}
	if got := canonical(tensors, models(tensors), ""); !maps.Equal(got, tensors) {
		t.Errorf("no model in particular is %v", got)
	}
}

// TestSecondCopy keeps the copy of a tensor that has another name, for nobody to use.
func TestSecondCopy(t *testing.T) {
	tensors := map[string]*entry{"shared.weight": {stored: "shared"}, "encoder.embed_tokens.weight": {stored: "copy"}}
	for _, name := range huggingFaceText.signature {
		tensors[name] = &entry{}
	}
	got := canonical(tensors, models(tensors), "")
	if e := got["token_embedding.weight"]; e == nil || e.stored != "shared" || got["encoder.embed_tokens.weight"] == nil {
		t.Errorf("the tensors are %v", slices.Sorted(maps.Keys(got)))
	}
}
