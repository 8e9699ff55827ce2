package inference

import (
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"strings"
)

// Settings are all settings of a Job, in the order of the window's form. To add one:
// a field of Job, a row here, its name in the window's translations, and the line that
// places its entry in the form.
var Settings = []Setting{
	{Name: "image", Flag: true, Form: true, Use: Reads,
		Help:  "`picture` to start from: PNG, JPEG, WebP, TIFF, GIF, BMP, Netpbm, TGA or ICO; on a Mac also what Preview opens, such as HEIC and AVIF",
		value: required("the picture to start from", func(j *Job) *string { return &j.Image })},
	{Name: "action_path", Flag: true, Form: true, Use: Reads,
		Help: "`folder` of a camera path: poses.npy and intrinsics.npy, for an act checkpoint action.npy too; wasd_action.npy and ijkl_action.npy; " +
			"or ViPE's pose and intrinsics; none for no camera control",
		value: path(func(j *Job) *string { return &j.ActionPath })},
	{Name: "action_string", Flag: true, Form: true,
		Help: "`keys` that make the camera path and for how many frames they are held, such as w-20,none-5,wd-10: w, a, s and d move, " +
			"i, k, j and l look up, down, left and right; of --action_path only the intrinsics are then used",
		value: words(func(j *Job) *string { return &j.ActionString })},
	{Name: "allow_act2cam", Flag: true, Form: true, Switch: true,
		Help:  "make the camera path of the keys in wasd_action.npy and ijkl_action.npy where there are poses too",
		value: truth(func(j *Job) *bool { return &j.AllowAct2Cam })},
	{Name: "per_frame_intrinsics", Flag: true, Form: true, Switch: true,
		Help:  "tell the model the intrinsics of every frame, such as a zoom, not only those of the first as the reference does",
		value: truth(func(j *Job) *bool { return &j.PerFrameIntrinsics })},
	{Name: "even_jumps", Flag: true, Form: true, Switch: true,
		Help:  "shorten steps of the camera path that dwarf all others to the longest of these",
		value: truth(func(j *Job) *bool { return &j.EvenJumps })},
	{Name: "camera_scale", Flag: true, Form: true,
		Help:  "`length` of a step of the camera path between two latent frames that the model is told as 1; 0 for the path's longest, as the reference does; those of Live have 1",
		value: number(0, 1e6, func(j *Job) *float64 { return &j.CameraScale })},
	{Name: "prompt", Flag: true, Form: true,
		Help:  "what the video shows, in `words`",
		value: words(func(j *Job) *string { return &j.Prompt })},
	{Name: "negative_prompt", Flag: true, Form: true, Modes: guidedModes,
		Help:  "what it must not show, in `words`",
		value: words(func(j *Job) *string { return &j.NegativePrompt })},
	{Name: "frame_num", Flag: true, Form: true,
		Help:  "`frames` of the video, 4n+1; fewer where the camera path is shorter",
		value: frames()},
	{Name: "max_area", Flag: true, Form: true,
		Help:  "area of a frame in `pixels`, or as 480x832: any, instead of --size",
		value: area()},
	{Name: "sample_steps", Flag: true, Form: true, Modes: guidedModes,
		Help:  "denoising `steps`",
		value: whole(1, 1000, func(j *Job) *int { return &j.Steps })},
	{Name: "high_steps", Flag: true, Form: true, Modes: expertModes,
		Help:  "`steps` of the high-noise expert, in place of those that the schedule gives it; 0 for these",
		value: wholeOrZero(1, 1000, func(j *Job) *int { return &j.HighSteps })},
	{Name: "sample_solver", Flag: true, Form: true, Modes: guidedModes, Choices: solvers,
		Help:  "`solver`: unipc, dpm++ or, for models that are distilled to a few steps, euler",
		value: choice(solvers, func(j *Job) *string { return &j.Solver })},
	{Name: "sample_shift", Flag: true, Form: true,
		Help:  "`shift` of the noise schedule",
		value: number(0.01, 1000, func(j *Job) *float64 { return &j.Shift })},
	{Name: "sample_guide_scale", Flag: true, Modes: guidedModes,
		Help:  "guidance `scale`, one number or low,high for the two experts",
		value: guidance()},
	{Name: "guidance_low", Form: true, Modes: guidedModes,
		value: number(-maxGuidance, maxGuidance, func(j *Job) *float64 { return &j.Guidance.Low })},
	{Name: "guidance_high", Form: true, Modes: guidedModes,
		value: number(-maxGuidance, maxGuidance, func(j *Job) *float64 { return &j.Guidance.High })},
	{Name: "boundary", Flag: true, Form: true, Modes: expertModes,
		Help:  "`share` of the schedule from which the high-noise expert runs",
		value: number(0, 1, func(j *Job) *float64 { return &j.Boundary })},
	{Name: "infer_mode", Flag: true, Form: true, Choices: inferModes,
		Help:  "`mode` of a causal model: causal_fast or causal_pretrain; auto for what the checkpoint holds, which is the two experts where there are some",
		value: choiceOrZero(inferModes, func(j *Job) *string { return &j.Causal.Mode })},
	{Name: "chunk_size", Flag: true, Form: true, Modes: causalModes,
		Help:  "latent `frames` that a causal model makes at once",
		value: whole(0, maxChunk, func(j *Job) *int { return &j.Causal.Chunk })},
	{Name: "local_attn_size", Flag: true, Form: true, Modes: fastModes,
		Help:  "latent `frames` that a chunk of a causal model sees, its own among them; -1 for all",
		value: window()},
	{Name: "sink_size", Flag: true, Form: true, Modes: fastModes,
		Help:  "latent `frames` at the video's beginning that stay among those of --local_attn_size",
		value: whole(0, maxCausalLatent, func(j *Job) *int { return &j.Causal.Sink })},
	{Name: "max_attention_size", Flag: true, Form: true, Modes: fastModes,
		Help:  "`tokens` that a chunk of a causal model sees at most, the latest; 0 for all of the window",
		value: whole(0, math.MaxInt32, func(j *Job) *int { return &j.Causal.MaxAttention })},
	{Name: "words_guide_scale", Modes: fastModes,
		value: number(0, maxGuidance, func(j *Job) *float64 { return &j.Causal.WordsGuide })},
	{Name: "timesteps_index", Flag: true, Form: true, Modes: fastModes,
		Help:  "`entries` of the schedule of 1000 at which causal_fast takes its steps, such as 0,250,500,750",
		value: timesteps()},
	{Name: "high_noise", Flag: true, Use: Reads,
		Help:  "`file` of the expert for high noise, or a folder of shards, in place of --ckpt_dir's: safetensors, GGUF or torch, in any format and with any names that are known",
		value: path(func(j *Job) *string { return &j.HighNoise })},
	{Name: "low_noise", Flag: true, Use: Reads,
		Help:  "`file` of the expert for low noise, likewise",
		value: path(func(j *Job) *string { return &j.LowNoise })},
	{Name: "text_encoder", Flag: true, Use: Reads,
		Help:  "`file` of the text encoder UMT5-XXL, likewise; its tokenizer is used where the file holds one",
		value: path(func(j *Job) *string { return &j.TextEncoder })},
	{Name: "vae", Flag: true, Use: Reads,
		Help:  "`file` of the VAE, likewise",
		value: path(func(j *Job) *string { return &j.VAE })},
	{Name: "tokenizer", Flag: true, Use: Reads,
		Help:  "`folder` with tokenizer.json or spiece.model",
		value: path(func(j *Job) *string { return &j.Tokenizer })},
	{Name: "assets_dir", Flag: true, Use: Reads,
		Help:  "`folder` with the text encoder, the tokenizer and the VAE, each of which is used where --ckpt_dir has none; without it they are looked for in the folders around that",
		value: path(func(j *Job) *string { return &j.Assets })},
	{Name: "base_seed", Flag: true, Form: true,
		Help:  "`seed` of the noise; negative for a random one",
		value: seed()},
	{Name: "noise_rng", Flag: true, Form: true, Choices: noiseRNGs,
		Help:  "torch's `generator` of the noise: cuda (as the reference) or cpu",
		value: choice(noiseRNGs, func(j *Job) *string { return &j.NoiseRNG })},
	{Name: "chunk_noise", Flag: true, Switch: true,
		Help:  "draw the noise of a causal model's video chunk by chunk, each from a seed of its own, as the window's Live does: a longer video begins as a shorter one",
		value: truth(func(j *Job) *bool { return &j.ChunkNoise })},
	{Name: "fps", Flag: true, Form: true,
		Help:  "`frames` per second of the video; the model is made for 16",
		value: whole(1, 240, func(j *Job) *int { return &j.FPS })},
	{Name: "quant", Flag: true, Form: true, Choices: quants,
		Help: "how the experts' linear layers are kept: `kind` none (as in the checkpoint), bf16 (half the size of a checkpoint of F32, as the reference reads it), int8 (half of bf16's size), nf4 (a quarter of it, less exact) " +
			"or nf4-double (its scales in 8 bits too, 8 % smaller); norms, modulation, embeddings of latent and timestep and the head always stay as they are",
		value: choiceOrZero(quants, func(j *Job) *Quant { return &j.Quant })},
	{Name: "lora", Flag: true, Form: true, Use: Reads,
		Help: "`file` of changes to the experts' weights, and how much of them to apply: FILE, FILE:0.8, FILE:high=1,low=0.5; given as often as there are files. " +
			"Files of a pair are told by high or low in their names",
		value: loras()},
	{Name: "easycache", Flag: true, Form: true, Modes: expertModes,
		Help: "`threshold` of EasyCache, which leaves steps out that would change little: 0.05 is its default, 0.1 about twice as fast, and less exact; 0 for off. " +
			"THRESHOLD,STEPS says how many steps at the beginning are always computed, else 10",
		value: easyCache()},
	{Name: "magcache", Flag: true, Form: true, Modes: expertModes,
		Help: "`threshold` of MagCache, which leaves the model's blocks out while what they add changes little in size, by a calibration of the checkpoint: 0.06 is its makers' choice; 0 for off. " +
			"THRESHOLD,MOST,SHARE says how many passes in a row are left out at most, else 2, and the share of each expert's steps that is always computed at its beginning, else 0.1",
		value: magCache()},
	{Name: "teacache", Flag: true, Form: true, Modes: expertModes,
		Help: "`threshold` of TeaCache, which leaves the model's blocks out while the timestep changes little, by a calibration of the checkpoint: 0.1 to 0.3; 0 for off. " +
			"THRESHOLD,MODEL goes by another model's polynomial: " + strings.Join(teaCaches[1:], ", "),
		value: teaCache()},
	{Name: "guidance_interval", Flag: true, Form: true, Modes: guidedModes,
		Help:  "`low,high`: shares of the schedule between which there is guidance; a step elsewhere takes half the time",
		value: interval()},
	{Name: "cfg_zero", Flag: true, Form: true, Modes: guidedModes,
		Help:  "`True` for CFG-Zero*, which scales the negative prompt's part of guidance to fit",
		value: truth(func(j *Job) *bool { return &j.CFGZero })},
	{Name: "cfg_zero_init", Flag: true, Form: true, Modes: guidedModes,
		Help:  "`steps` at the beginning that go nowhere, CFG-Zero*'s zero-init; reported bad for videos that start from a picture",
		value: whole(0, 1000, func(j *Job) *int { return &j.CFGZeroInit })},
	{Name: "vae_tile", Flag: true, Form: true,
		Help:  "side of the VAE's tiles in `pixels`, for sizes that do not fit otherwise; auto for the largest that fits, 0 for none",
		value: wholeOrZero(MinTile, 4096, func(j *Job) *int { return &j.VAETile })},
	{Name: "vae_chunk_size", Env: "VAE_CHUNK_SIZE", Form: true,
		value: whole(0, 1024, func(j *Job) *int { return &j.VAEChunk })},
	{Name: "vae_chunk_threshold", Env: "VAE_CHUNK_THRESHOLD",
		value: whole(0, Wan.MaxFrames(), func(j *Job) *int { return &j.VAEChunkThreshold })},
	{Name: "decoder", Flag: true, Form: true, Choices: decoders,
		Help: "`decoder` of the video: full is the checkpoint's VAE, tiny the small one of --decoder_path, more than ten times as fast and a little less sharp. " +
			"Where there is one, previews are made by it either way",
		value: choiceOrZero(decoders, func(j *Job) *string { return &j.Decoder })},
	{Name: "decoder_path", Flag: true, Form: true, Use: Reads,
		Help: "`file` of a small decoder for Wan 2.1: taew2_1, lighttaew2_1 or lightvaew2_1, as .safetensors or .pth; " +
			"if not given, one of these that lies with the checkpoint",
		value: path(func(j *Job) *string { return &j.DecoderPath })},
	{Name: "attention_dtype", Flag: true, Form: true, Choices: attentionDTypes,
		Help:  "`type` of attention's queries, keys and values: f32, f16 or bf16; sums are f32 always",
		value: choiceOrZero(attentionDTypes, func(j *Job) *string { return &j.AttentionDType })},
	{Name: "offload_model", Flag: true, Form: true,
		Help: "`True` lets go of the weights of the text encoder and of an expert when they are done, and reads the next expert's while the last steps before it run; " +
			"False keeps all weights in memory as far as there is room, for the next video",
		value: truth(func(j *Job) *bool { return &j.Offload })},
	{Name: "save_file", Flag: true, Use: Writes,
		Help:  "the .mp4 `file` to write; a name made of the settings if not given",
		value: output()},
	{Name: "save_frames", Flag: true, Use: Writes,
		Help:  "`folder` to write every frame to as a PNG file",
		value: path(func(j *Job) *string { return &j.FramesDir })},
	{Name: "dump_tensors", Flag: true, Use: Writes,
		Help:  "safetensors `file` for noise, vae_input, image_latent, latent and video",
		value: path(func(j *Job) *string { return &j.DumpFile })},
}

// The modes of models for which there are settings: of two experts, of models that are guided,
// and of causal ones.
var (
	expertModes = []string{""}
	guidedModes = []string{"", CausalPretrain}
	causalModes = []string{CausalFast, CausalPretrain}
	fastModes   = []string{CausalFast}
)

// The values of settings that have a few. Package denoise has the solvers, noise the
// generators, weights the kinds of weights.
var (
	solvers         = []string{"unipc", "dpm++", "euler"}
	inferModes      = []string{"auto", CausalFast, CausalPretrain}
	noiseRNGs       = []string{"cuda", "cpu"}
	quants          = []string{quantNone, string(QuantBF16), string(QuantINT8), string(QuantNF4), string(QuantNF4Double)}
	decoders        = []string{"full", DecoderTiny}
	attentionDTypes = []string{"f32", "f16", "bf16"}
)

const (
	maxGuidance      = 100
	minArea, maxArea = 256, 4096 * 2304 // H.264 holds no more
	// MinTile is the least side of a tile of the VAE that makes sense.
	MinTile = 64
	// maxName is the longest name of an .mp4 in bytes: file systems allow 255, and the
	// temporary files beside it have longer names.
	maxName = 200
)

// CheckFrames returns a *SettingError unless n is a length that the model can make,
// 4k+1; it names the nearest two.
func CheckFrames(n int) error { return FindSetting("frame_num").Check(Job{Recipe: Recipe{Frames: n}}) }

func frames() value {
	v := whole(math.MinInt32, math.MaxInt32, func(j *Job) *int { return &j.Frames })
	set := v.set
	v.set = func(j *Job, text string) *SettingError {
		if err := set(j, text); err != nil {
			if err.Mistake == NotAWholeNumber {
				err.Want = "a whole number of frames, 4n+1, such as 81"
			}
			return err
		}
		n, most := j.Frames, j.MaxFrames()
		if n > most {
			return outOfRange(n, 1, most)
		}
		if j.Causal.Mode != "" && n >= 1 { // rounded down, as the reference does
			j.Frames = Wan.Frames(Wan.LatentFrames(n))
			return nil
		}
		if n >= 1 && n%Wan.FrameStride == 1 {
			return nil
		}
		below := Wan.Frames(Wan.LatentFrames(max(n, 1)))
		above := below + Wan.FrameStride
		return &SettingError{
			Mistake: FramesNot4n1, Found: strconv.Itoa(n),
			Want: fmt.Sprintf("4n+1 frames; the nearest are %d and %d", below, above), Args: map[string]any{"Below": below, "Above": above},
		}
	}
	return v
}

// area is pixels, or width and height as 480x832 or 480*832.
func area() value {
	v := whole(minArea, maxArea, func(j *Job) *int { return &j.MaxArea })
	set := v.set
	v.set = func(j *Job, text string) *SettingError {
		sides := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune("x×*X ", r) })
		if len(sides) != 2 {
			return set(j, text)
		}
		pixels := 1
		for _, side := range sides {
			n, err := strconv.Atoi(side)
			if err != nil {
				return &SettingError{Mistake: NotAWholeNumber, Found: quoted(side), Want: "width and height in pixels"}
			}
			if n < 1 || n > maxArea/16 {
				return outOfRange(n, 1, maxArea/16)
			}
			pixels *= n
		}
		return set(j, strconv.Itoa(pixels))
	}
	return v
}

// guidance is one number, or two: low,high.
func guidance() value {
	low, high := number(-maxGuidance, maxGuidance, func(j *Job) *float64 { return &j.Guidance.Low }), number(-maxGuidance, maxGuidance, func(j *Job) *float64 { return &j.Guidance.High })
	return value{
		text: func(j Job) string {
			if j.Guidance.Low == j.Guidance.High {
				return low.text(j)
			}
			return low.text(j) + "," + high.text(j)
		},
		set: func(j *Job, text string) *SettingError {
			parts := strings.Split(text, ",")
			if len(parts) > 2 {
				return &SettingError{Mistake: NotANumber, Found: quoted(text), Want: "one number, or two as low,high"}
			}
			if err := low.set(j, parts[0]); err != nil {
				return err
			}
			return high.set(j, parts[len(parts)-1])
		},
	}
}

func seed() value {
	return value{
		text: func(j Job) string { return strconv.FormatUint(j.Seed, 10) },
		set: func(j *Job, text string) *SettingError {
			word := strings.TrimSpace(text)
			v, err := strconv.ParseUint(word, 10, 64)
			if err == nil {
				j.Seed = v
				return nil
			}
			if f, err := strconv.ParseFloat(word, 64); err == nil && f == math.Trunc(f) {
				return outOfRange(word, 0, uint64(math.MaxUint64))
			}
			return &SettingError{Mistake: NotAWholeNumber, Found: quoted(text), Want: "a whole number of 0 or more"}
		},
	}
}

// output is the name of an .mp4.
func output() value {
	v := path(func(j *Job) *string { return &j.Output })
	v.check = func(j Job) *SettingError {
		name := filepath.Base(j.Output)
		switch ext := filepath.Ext(name); {
		case j.Output == "":
			return &SettingError{Mistake: Missing, Found: "none given", Want: "the .mp4 to write"}
		case !strings.EqualFold(ext, ".mp4") || name == ext:
			return &SettingError{Mistake: Unusable, Found: j.Output, Want: "the name of a file that ends in .mp4"}
		case len(name) > maxName:
			return &SettingError{Mistake: Unusable, Found: fmt.Sprintf("a name of %d bytes", len(name)), Want: fmt.Sprintf("at most %d: %s", maxName, j.Output)}
		}
		return nil
	}
	return v
}
