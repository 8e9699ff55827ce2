package weights

import (
	"slices"
	"strings"
)

// foreign are files of weights that are none of the models here, by names that only they have:
// a name that is there, or what some name ends with or contains. The first one counts.
var foreign = []struct {
	what           string
	has, end, with string
}{
	{what: "a LoRA, which changes a model and is none", end: ".lora_down.weight"},
	{what: "a LoRA, which changes a model and is none", end: ".lora_A.weight"},
	{what: "a LoRA, which changes a model and is none", end: ".lora_A.default.weight"},
	{what: "a LoKr, which changes a model and is none", with: ".lokr_w1"},
	{what: "a LoHa, which changes a model and is none", with: ".hada_w1"},
	{what: "differences to a model's weights", end: ".diff"},
	{what: "VACE, a control model of Wan2.1", with: "vace_blocks.0."},
	{what: "Wan Animate", with: "face_adapter."},
	{what: "Wan S2V", with: "casual_audio_encoder."},
	{what: "LTX-Video", has: "patchify_proj.weight"},
	{what: "HunyuanVideo", with: "double_blocks.0.img_attn_qkv."},
	{what: "FLUX", with: "double_blocks.0.img_attn.qkv."},
	{what: "FLUX in diffusers' names", with: "single_transformer_blocks.0."},
	{what: "CogVideoX", with: "transformer_blocks.0.norm1.linear."},
	{what: "Qwen-Image", with: "transformer_blocks.0.img_mod."},
	{what: "Stable Diffusion", with: "input_blocks.0.0."},
	{what: "Stable Diffusion 3", with: "joint_blocks.0."},
	{what: "a VAE of Stable Diffusion", has: "decoder.conv_in.weight"},
	{what: "CLIP's picture encoder of Wan2.1", with: "visual.transformer."},
	{what: "a CLIP picture encoder", with: "vision_model.encoder.layers.0."},
	{what: "a CLIP text encoder", with: "text_model.encoder.layers.0."},
	{what: "a T5 text encoder that is not UMT5", with: "encoder.block.0.layer.0.SelfAttention."},
	{what: "a T5 text encoder that is not UMT5", with: "enc.blk.0.attn_q."},
	{what: "a language model", with: "blk.0.attn_q."},
	{what: "a language model", with: "layers.0.self_attn.q_proj."},
}

// whatIs says what the tensors of a file are that hold no model that is known here.
func (s *Store) whatIs() string {
	for _, f := range foreign {
		if slices.ContainsFunc(s.names, func(name string) bool {
			_, bare := cutPrefix(name)
			return f.has != "" && bare == f.has || f.end != "" && strings.HasSuffix(name, f.end) || f.with != "" && strings.Contains(name, f.with)
		}) {
			return f.what
		}
	}
	if len(s.names) == 0 {
		return "no tensors"
	}
	return plural(len(s.names), "tensor") + " of an unknown model, such as " + s.names[0]
}

// wants are what each kind is called in errors.
var wants = map[Kind]string{
	KindExpert: "an expert of LingBot-World or Wan2.2-I2V-A14B",
	KindText:   "the text encoder UMT5-XXL",
	KindVAE:    "the VAE of Wan2.1",
}

// mustBe returns an error that says what the store holds unless that is a model of a kind.
func (s *Store) mustBe(kind Kind) error {
	if _, ok := s.kinds[kind]; ok {
		return nil
	}
	found := ""
	for _, k := range []Kind{KindExpert, KindText, KindVAE} {
		if _, ok := s.kinds[k]; ok {
			found = wants[k]
		}
	}
	if found == "" {
		found = s.whatIs()
	}
	return &Error{s.path, "contents", found, wants[kind]}
}

// checkExpert returns an error that says which other model a transformer is, if it is none
// that is known here.
func checkExpert(s *Store) error {
	if err := s.mustBe(KindExpert); err != nil {
		return err
	}
	what := ""
	switch in, out := s.size(patchWeight, 1), s.size("head.head.weight", 0); {
	case s.Has("img_emb.proj.0.weight") || s.Has("blocks.0.cross_attn.k_img.weight"):
		what = "a Wan2.1 image-to-video model, with a picture branch"
	case in == 16:
		what = "a Wan text-to-video model, which starts from no picture"
	case in == 48 && out == 48*4:
		what = "Wan2.2-TI2V-5B, which has another VAE"
	default:
		return nil
	}
	return &Error{s.path, "contents", what, wants[KindExpert]}
}
