package inference

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Job is everything that decides a video but the checkpoint. Every field is a setting:
// Settings says what each is called, what it may hold and what it is for.
type Job struct {
	Image          string `json:"image"`                   // path of the picture to start from
	ActionPath     string `json:"action_path,omitempty"`   // folder of a camera path; "" for no camera control
	ActionString   string `json:"action_string,omitempty"` // keys that make a camera path, such as w-20,none-5
	Prompt         string `json:"prompt"`
	NegativePrompt string `json:"negative_prompt"`
	Recipe
	Seed     uint64 `json:"base_seed"`
	NoiseRNG string `json:"noise_rng"` // torch's generator: "cuda" or "cpu"
	// ChunkNoise gives every chunk of a causal model a generator of its own, so that a longer
	// video begins as a shorter one.
	ChunkNoise bool  `json:"chunk_noise,omitempty"`
	FPS        int   `json:"fps"` // frames per second of the video
	Quant      Quant `json:"quant,omitzero"`
	LoRAs      LoRAs `json:"loras,omitzero"`

	Caches
	GuidanceInterval [2]float64 `json:"guidance_interval,omitzero"` // shares of the schedule between which there is guidance; zero for all
	CFGZero          bool       `json:"cfg_zero,omitempty"`         // CFG-Zero*
	CFGZeroInit      int        `json:"cfg_zero_init,omitempty"`    // its zero-init: steps at the beginning that go nowhere

	AllowAct2Cam bool `json:"allow_act2cam,omitempty"` // the keys in the action folder make the path, not its poses
	EvenJumps    bool `json:"even_jumps,omitempty"`    // steps of the path that dwarf all others become as long as these
	// CameraScale is the length of a step of the path between two latent frames that the model
	// is told as 1; 0 for the longest step.
	CameraScale        float64 `json:"camera_scale,omitempty"`
	PerFrameIntrinsics bool    `json:"per_frame_intrinsics,omitempty"` // the model is told the intrinsics of every frame, not the first ones only

	Parts
	Assets string `json:"assets_dir,omitempty"` // folder of text encoder, tokenizer and VAE where the checkpoint has none; "" to look around it

	Output    string `json:"save_file"`            // path of the .mp4
	FramesDir string `json:"frames_dir,omitempty"` // folder for the frames as PNG files; "" for none
	DumpFile  string `json:"dump_file,omitempty"`  // safetensors file for the intermediate tensors; "" for none

	Offload           bool   `json:"offload_model"`             // let go of the weights of a part of the model when it is done
	VAEChunk          int    `json:"vae_chunk_size"`            // latent frames decoded at once; 0 for all
	VAEChunkThreshold int    `json:"vae_chunk_threshold"`       // frames up to which all are decoded at once
	VAETile           int    `json:"vae_tile,omitempty"`        // side of the VAE's tiles in pixels; 0 for none
	Decoder           string `json:"decoder,omitempty"`         // that makes the video's pictures: "" for the VAE's, or DecoderTiny
	DecoderPath       string `json:"decoder_path,omitempty"`    // file of a small decoder; "" for one that lies with the checkpoint
	AttentionDType    string `json:"attention_dtype,omitempty"` // of queries, keys and values: f32 (or ""), f16 or bf16
}

// Parts are files, or folders of shards, that are taken in place of a checkpoint's parts, in any
// format: "" for those of the checkpoint.
type Parts struct {
	HighNoise   string `json:"high_noise,omitempty"`
	LowNoise    string `json:"low_noise,omitempty"`
	TextEncoder string `json:"text_encoder,omitempty"`
	VAE         string `json:"vae,omitempty"`
	Tokenizer   string `json:"tokenizer,omitempty"` // a folder; "" for what the text encoder's file holds, too
}

// DecoderTiny is the small decoder.
const DecoderTiny = "tiny"

// Recipe is how a checkpoint wants to be sampled: what its makers recommend. A
// checkpoint that differs from LingBot-World brings its own as recipe.json, by these keys.
type Recipe struct {
	Frames   int      `json:"frame_num"`          // of the video, 4n+1; fewer where the camera path is shorter
	MaxArea  int      `json:"max_area"`           // pixels of a frame at most; the picture's shape is kept
	Steps    int      `json:"sample_steps"`       // denoising steps
	Solver   string   `json:"sample_solver"`      // "unipc", "dpm++" or "euler"
	Shift    float64  `json:"sample_shift"`       // of the noise schedule
	Guidance Guidance `json:"sample_guide_scale"` // of each expert
	Boundary float64  `json:"boundary"`           // share of the schedule from which the high-noise expert runs
	// HighSteps, unless 0, are the high-noise expert's steps in place of those that the
	// schedule gives it.
	HighSteps int `json:"high_steps,omitempty"`

	Causal
}

// Guidance is the classifier-free guidance scale of each expert. With a scale of 1 the
// negative prompt has no effect and its pass is left out.
type Guidance struct {
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// Quant says how the experts' linear layers are kept.
type Quant string

// The kinds of weights.
const (
	QuantNone      Quant = ""           // as in the checkpoint; "none" where it has to have a name
	QuantBF16      Quant = "bf16"       // F32 rounded to 16 bits, as the reference reads a checkpoint
	QuantINT8      Quant = "int8"       // 8 bits, a scale per row
	QuantNF4       Quant = "nf4"        // 4 bits, a scale per block
	QuantNF4Double Quant = "nf4-double" // with scales in 8 bits (bitsandbytes' double quantisation)
)

// String names q, "none" for weights as they are.
func (q Quant) String() string {
	if q == QuantNone {
		return quantNone
	}
	return string(q)
}

const quantNone = "none"

// UnmarshalJSON reads a name, or the object of kind and nested that files had before.
func (q *Quant) UnmarshalJSON(text []byte) error {
	var name string
	var object struct {
		Kind   string `json:"kind"`
		Nested bool   `json:"nested"`
	}
	if err := json.Unmarshal(text, &name); err != nil {
		if json.Unmarshal(text, &object) != nil {
			return fmt.Errorf("quant: found %s, expected the name of a kind", text)
		}
		if name = object.Kind; object.Nested {
			name += "-double"
		}
	}
	if name == quantNone {
		name = ""
	}
	*q = Quant(name)
	return nil
}

// DefaultRecipe returns LingBot-World's (wan/configs of Robbyant/lingbot-world).
func DefaultRecipe() Recipe {
	return Recipe{
		Frames: 81, MaxArea: 480 * 832, Steps: 70, Solver: "unipc", Shift: 10,
		Guidance: Guidance{Low: 5, High: 5}, Boundary: 0.947,
	}
}

// DefaultNegativePrompt is the reference's, word for word: the model was tuned with it.
const DefaultNegativePrompt = "画面突变，色调艳丽，过曝，静态，细节模糊不清，字幕，风格，作品，画作，画面，静止，整体发灰，" +
	"最差质量，低质量，JPEG压缩残留，丑陋的，残缺的，多余的手指，画得不好的手部，画得不好的脸部，畸形的，毁容的，" +
	"形态畸形的肢体，手指融合，静止不动的画面，杂乱的背景，三条腿，背景人很多，倒着走，镜头晃动，画面闪烁，模糊，噪点，" +
	"水印，签名，文字，变形，扭曲，液化，不合逻辑的结构，卡顿，PPT幻灯片感，过暗，欠曝，低对比度，霓虹灯光感，过度锐化，" +
	"3D渲染感，人物，行人，游客，身体，皮肤，肢体，面部特征，汽车，电线"

// CausalNegativePrompt is the one that the reference has built in for causal_pretrain: the
// beginning of the default.
var CausalNegativePrompt, _, _ = strings.Cut(DefaultNegativePrompt, "，镜头晃动")

// DefaultJob returns the reference's settings, without picture, prompt and output.
func DefaultJob() Job {
	return Job{
		NegativePrompt: DefaultNegativePrompt, Recipe: DefaultRecipe(), Seed: 42, NoiseRNG: "cuda", FPS: 16,
		Offload: true, VAEChunk: 1,
	}
}

// Validate reports what is wrong with the recipe, as SettingErrors.
func (r Recipe) Validate() error {
	var errs []error
	for _, name := range []string{"frame_num", "max_area", "sample_steps", "sample_solver", "sample_shift", "sample_guide_scale", "boundary", "high_steps",
		"infer_mode", "chunk_size", "timesteps_index", "local_attn_size", "sink_size", "max_attention_size", "words_guide_scale"} {
		errs = append(errs, FindSetting(name).Check(Job{Recipe: r}))
	}
	return errors.Join(errs...)
}

// Validate reports every setting that holds what it may not, as SettingErrors; the files
// that they name are looked at by an engine.
func (j Job) Validate() error {
	var errs []error
	for _, s := range Settings {
		errs = append(errs, s.Check(j))
	}
	return errors.Join(errs...)
}
