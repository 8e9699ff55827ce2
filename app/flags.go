package main

import (
	"flag"
	"fmt"
	"strconv"
	"strings"

	"gimbal/inference"
	"gimbal/inference/noise"
	"gimbal/inference/wan"
	"gimbal/inference/weights"
)

// reference holds the flags of the reference's generate.py, by their names, and
// Gimbal's own beside them.
type reference struct {
	job     inference.Job
	ckptDir string
	task    string
	size    string
	maxArea int
	ulysses int
	resume  string
	device  deviceChoice
	json    bool
	profile string
	quant   weights.Quant
	seed    int64
	auto    bool
	tile    tile
	dims    weights.Dims // of gimbal plan; the zero value for a checkpoint
	given   []string     // names of the flags on the command line
}

// sizes are the values of --size that the reference supports for its task.
var sizes = map[string]int{
	"720*1280": 720 * 1280, "1280*720": 1280 * 720,
	"480*832": 480 * 832, "832*480": 832 * 480,
}

func (r *reference) flags(name string) *flag.FlagSet {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	j := &r.job
	fs.StringVar(&r.task, "task", "i2v-A14B", "the model's `task`; i2v-A14B is the one there is")
	fs.StringVar(&r.size, "size", "480*832", "area of a frame as `W*H`: 480*832, 832*480, 720*1280 or 1280*720; the picture's shape is kept")
	fs.IntVar(&r.maxArea, "max_area", r.maxArea, "area of a frame in `pixels`, any, instead of --size")
	fs.StringVar(&r.ckptDir, "ckpt_dir", r.ckptDir, "`folder` of the checkpoint")
	fs.StringVar(&j.Image, "image", j.Image, "`picture` to start from: PNG, JPEG, WebP, BMP, TIFF or GIF")
	fs.StringVar(&j.ActionPath, "action_path", j.ActionPath, "`folder` with poses.npy and intrinsics.npy; none for no camera control")
	fs.StringVar(&j.Prompt, "prompt", j.Prompt, "what the video shows, in `words`")
	fs.StringVar(&j.NegativePrompt, "negative_prompt", j.NegativePrompt, "what it must not show, in `words`")
	fs.IntVar(&j.Frames, "frame_num", j.Frames, "`frames` of the video, 4n+1; fewer where the camera path is shorter")
	fs.IntVar(&j.Steps, "sample_steps", j.Steps, "denoising `steps`")
	fs.StringVar(&j.Solver, "sample_solver", j.Solver, "`solver`: unipc or dpm++")
	fs.Float64Var(&j.Shift, "sample_shift", j.Shift, "`shift` of the noise schedule")
	fs.Var((*guidance)(&j.Guidance), "sample_guide_scale", "guidance `scale`, one number or low,high for the two experts")
	fs.Float64Var(&j.Boundary, "boundary", j.Boundary, "`share` of the schedule from which the high-noise expert runs")
	fs.Int64Var(&r.seed, "base_seed", int64(j.Seed), "`seed` of the noise; negative for a random one")
	fs.Var((*rng)(&j.NoiseRNG), "noise_rng", "torch's `generator` of the noise: cuda (as the reference) or cpu")
	fs.StringVar(&j.Output, "save_file", j.Output, "the .mp4 `file` to write; a name made of the settings if not given")
	fs.StringVar(&j.FramesDir, "save_frames", "", "`folder` to write every frame to as a PNG file")
	fs.StringVar(&j.DumpFile, "dump_tensors", "", "safetensors `file` for noise, vae_input, image_latent, latent and video")
	fs.Var((*boolWord)(&j.Offload), "offload_model", "`True` lets go of the weights of the text encoder and of an expert when they are done, and reads the next expert's while the last steps before it run; False keeps all weights in memory as far as there is room, for the next video")
	fs.BoolVar(&r.auto, "auto", false, "choose settings that fit the device where these do not")
	fs.IntVar(&j.AttentionChunk, "attention_chunk", 0, "`queries` of an attention at once; 0 for all")
	fs.StringVar(&j.AttentionDType, "attention_dtype", "f32", "`type` of attention's queries, keys and values: f32, f16 or bf16; sums are f32 always")
	fs.Var(&r.tile, "vae_tile", "side of the VAE's tiles in `pixels`, for sizes that do not fit otherwise; auto for the largest that fits, 0 for none")
	fs.Var(&reuse{&j.Reuse}, "no_reuse", "exact reuse to turn off, for measuring: `list` of camera, cross_attention, time, padding, or all")
	quantFlags(fs, &r.quant)
	deviceFlags(fs, &r.device)
	fs.StringVar(&r.device.capture, "metal_capture", "", "`file` .gputrace for a capture of one block of the transformer by Metal, for Xcode; wants MTL_CAPTURE_ENABLED=1 in the environment")
	fs.StringVar(&r.resume, "resume", "", "go on with the run in this `folder`; its settings are kept, and its checkpoint unless --ckpt_dir says where that is now")
	fs.BoolVar(&r.json, "json", false, "print events as JSON lines")
	fs.StringVar(&r.profile, "profile", "", "time every operation: a trace for ui.perfetto.dev to this `file`, a table beside it in .txt and at the end")
	r.ignoredFlags(fs)
	return fs
}

// ignored are the flags of the reference that change nothing here, and why.
var ignored = map[string]string{
	"ulysses_size":              "one device runs the model",
	"t5_fsdp":                   "one device runs the model",
	"dit_fsdp":                  "one device runs the model",
	"t5_cpu":                    "the text encoder runs where the model runs, on the CPU",
	"convert_model_dtype":       "weights run in the type in which they are stored",
	"use_prompt_extend":         "prompts are not extended",
	"prompt_extend_method":      "prompts are not extended",
	"prompt_extend_model":       "prompts are not extended",
	"prompt_extend_target_lang": "prompts are not extended",
}

// ignoredFlags accepts them, so that the reference's command lines run as they are.
func (r *reference) ignoredFlags(fs *flag.FlagSet) {
	fs.IntVar(&r.ulysses, "ulysses_size", 1, "ignored `number`: "+ignored["ulysses_size"])
	for _, name := range []string{"t5_fsdp", "dit_fsdp", "t5_cpu", "convert_model_dtype", "use_prompt_extend"} {
		fs.Bool(name, false, "ignored: "+ignored[name])
	}
	for _, name := range []string{"prompt_extend_method", "prompt_extend_model", "prompt_extend_target_lang"} {
		fs.String(name, "", "ignored `text`: "+ignored[name])
	}
}

// quantFlags adds the flags that choose how an expert's weights are kept.
func quantFlags(fs *flag.FlagSet, o *weights.Quant) {
	o.Format = weights.AsStored
	fs.StringVar((*string)(&o.Format), "quant", string(o.Format), "how the experts' linear layers are kept: `kind` none (as in the checkpoint), "+
		"int8 (half of bf16's size) or nf4 (a quarter of it, less exact); norms, modulation, embeddings of latent and timestep and the head always stay as they are. "+
		"Made at first use, or by 'gimbal quantize', and kept in the checkpoint's folder "+weights.CacheDir+", or else in the user's cache folder")
	fs.BoolVar(&o.Nested, "double_quant", false, "with --quant nf4: the scales in 8 bits too, 8 % smaller")
}

// guidance is a flag of one number, or of two: low,high.
type guidance inference.Guidance

func (g *guidance) String() string {
	if g.Low == g.High {
		return strconv.FormatFloat(g.Low, 'g', -1, 64)
	}
	return fmt.Sprintf("%g,%g", g.Low, g.High)
}

func (g *guidance) Set(text string) error {
	words := strings.Split(text, ",")
	if len(words) > 2 {
		return fmt.Errorf("%d numbers, want one, or two as low,high", len(words))
	}
	var values []float64
	for _, word := range words {
		v, err := strconv.ParseFloat(strings.TrimSpace(word), 64)
		if err != nil {
			return fmt.Errorf("%q is no number", word)
		}
		values = append(values, v)
	}
	g.Low, g.High = values[0], values[len(values)-1]
	return nil
}

// rng is a flag that names a generator of noise.
type rng noise.Kind

func (r *rng) String() string { return string(*r) }

func (r *rng) Set(text string) error {
	if *r = rng(text); *r != rng(noise.KindCUDA) && *r != rng(noise.KindCPU) {
		return fmt.Errorf("want %s or %s", noise.KindCUDA, noise.KindCPU)
	}
	return nil
}

// size is a flag of bytes, such as 20000000000 or 20GB.
type size int64

func (s *size) String() string { return strconv.FormatInt(int64(*s), 10) }

func (s *size) Set(text string) error {
	number, unit := strings.TrimSpace(strings.ToUpper(text)), 1.0
	for suffix, bytes := range map[string]float64{"KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12} {
		if rest, ok := strings.CutSuffix(number, suffix); ok {
			number, unit = strings.TrimSpace(rest), bytes
		}
	}
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || !(n >= 0 && n*unit < 1<<62) {
		return fmt.Errorf("%q, want a number of bytes, or of kB, MB or GB such as 20GB", text)
	}
	*s = size(n * unit)
	return nil
}

// tile is a flag of pixels, or the word auto.
type tile struct {
	pixels int
	auto   bool
}

func (t *tile) String() string {
	if t.auto {
		return "auto"
	}
	return strconv.Itoa(t.pixels)
}

func (t *tile) Set(text string) (err error) {
	if *t = (tile{auto: text == "auto"}); t.auto {
		return nil
	}
	if t.pixels, err = strconv.Atoi(text); err != nil {
		return fmt.Errorf("%q, want a number of pixels or auto", text)
	}
	return nil
}

// boolWord is a flag that takes its truth value as the next word, as Python's
// argparse does: --offload_model True.
type boolWord bool

func (b *boolWord) String() string {
	if *b {
		return "True"
	}
	return "False"
}

func (b *boolWord) Set(text string) error {
	switch strings.ToLower(text) {
	case "true", "yes", "t", "y", "1":
		*b = true
	case "false", "no", "f", "n", "0":
		*b = false
	default:
		return fmt.Errorf("want True or False")
	}
	return nil
}

// reuse is a flag that turns kinds of exact reuse off.
type reuse struct{ of *wan.Reuse }

func (r *reuse) String() string { return "" }

func (r *reuse) Set(text string) error {
	for word := range strings.SplitSeq(text, ",") {
		switch strings.TrimSpace(word) {
		case "camera":
			r.of.Camera = false
		case "cross_attention":
			r.of.CrossAttention = false
		case "time":
			r.of.Time = false
		case "padding":
			r.of.Padding = false
		case "all":
			*r.of = wan.Reuse{}
		default:
			return fmt.Errorf("%q, want camera, cross_attention, time, padding or all", word)
		}
	}
	return nil
}
