package inference

import (
	"errors"
	"fmt"
	"math"

	"gimbal/inference/denoise"
	"gimbal/inference/device"
	"gimbal/inference/noise"
	"gimbal/inference/tokenizer"
	"gimbal/inference/vae"
	"gimbal/inference/wan"
)

// The reference's settings for LingBot-World (wan/configs of Robbyant/lingbot-world).
const (
	DefaultFrames   = 81
	DefaultSteps    = 70
	DefaultShift    = 10.0
	DefaultGuidance = 5.0
	DefaultBoundary = 0.947
	DefaultSeed     = 42
	DefaultFPS      = 16
	DefaultMaxArea  = 480 * 832

	// DefaultNegativePrompt is the reference's, word for word: the model was tuned with it.
	DefaultNegativePrompt = "画面突变，色调艳丽，过曝，静态，细节模糊不清，字幕，风格，作品，画作，画面，静止，整体发灰，" +
		"最差质量，低质量，JPEG压缩残留，丑陋的，残缺的，多余的手指，画得不好的手部，画得不好的脸部，畸形的，毁容的，" +
		"形态畸形的肢体，手指融合，静止不动的画面，杂乱的背景，三条腿，背景人很多，倒着走，镜头晃动，画面闪烁，模糊，噪点，" +
		"水印，签名，文字，变形，扭曲，液化，不合逻辑的结构，卡顿，PPT幻灯片感，过暗，欠曝，低对比度，霓虹灯光感，过度锐化，" +
		"3D渲染感，人物，行人，游客，身体，皮肤，肢体，面部特征，汽车，电线"

	// trainTimesteps is the length of the noise schedule that the model was trained on.
	trainTimesteps = 1000
	// maxFrames keeps the rotary embedding within the 1024 latent frames that it knows.
	maxFrames = 4*1023 + 1
)

// Guidance is the classifier-free guidance scale of each expert. With a scale
// of 1 the negative prompt has no effect and its pass is left out.
type Guidance struct {
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// Job is everything that decides a video but the checkpoint.
type Job struct {
	Image          string     `json:"image"`                 // path of the picture to start from
	ActionPath     string     `json:"action_path,omitempty"` // folder of poses.npy and intrinsics.npy; "" for no camera control
	Prompt         string     `json:"prompt"`
	NegativePrompt string     `json:"negative_prompt"`
	Frames         int        `json:"frame_num"` // 4n+1; cut to what ActionPath holds
	MaxArea        int        `json:"max_area"`  // pixels of a frame at most; the picture's shape is kept
	Steps          int        `json:"sample_steps"`
	Solver         string     `json:"sample_solver"` // "unipc" or "dpm++"
	Shift          float64    `json:"sample_shift"`
	Guidance       Guidance   `json:"sample_guide_scale"`
	Boundary       float64    `json:"boundary"` // share of the schedule from which the high-noise expert runs
	Seed           uint64     `json:"base_seed"`
	NoiseRNG       noise.Kind `json:"noise_rng"`
	FPS            int        `json:"fps"`

	Output    string `json:"save_file"`            // path of the .mp4
	FramesDir string `json:"frames_dir,omitempty"` // folder for the frames as PNG files; "" for none
	DumpFile  string `json:"dump_file,omitempty"`  // safetensors file for the intermediate tensors; "" for none

	Offload           bool      `json:"offload_model"` // let go of the weights of a part of the model when it is done
	Reuse             wan.Reuse `json:"reuse"`
	VAEChunk          int       `json:"vae_chunk_size"`            // latent frames decoded at once; 0 for all
	VAEChunkThreshold int       `json:"vae_chunk_threshold"`       // frames above which decoding is chunked
	VAETile           int       `json:"vae_tile,omitempty"`        // side of the VAE's tiles in pixels; 0 for none
	AttentionChunk    int       `json:"attention_chunk,omitempty"` // queries of an attention at once; 0 for all
	AttentionDType    string    `json:"attention_dtype,omitempty"` // of queries, keys and values: f32 (or ""), f16 or bf16
}

// DefaultJob returns the reference's settings, without picture, prompt and output.
func DefaultJob() Job {
	return Job{
		NegativePrompt: DefaultNegativePrompt,
		Frames:         DefaultFrames,
		MaxArea:        DefaultMaxArea,
		Steps:          DefaultSteps,
		Solver:         denoise.UniPC,
		Shift:          DefaultShift,
		Guidance:       Guidance{Low: DefaultGuidance, High: DefaultGuidance},
		Boundary:       DefaultBoundary,
		Seed:           DefaultSeed,
		NoiseRNG:       noise.KindCUDA,
		FPS:            DefaultFPS,
		Offload:        true,
		Reuse:          wan.AllReuse,
		VAEChunk:       1,
	}
}

// Validate reports everything that is wrong with the settings themselves; the
// files that they name are checked when the job is prepared.
func (j Job) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }

	if j.Image == "" {
		bad("image: none given; name the picture to start from")
	}
	if tokenizer.Clean(j.Prompt) == "" {
		bad("prompt: empty; say in words what the video shows")
	}
	if err := CheckFrames(j.Frames); err != nil {
		errs = append(errs, err)
	}
	if j.MaxArea < 256 || j.MaxArea > 4096*4096 {
		bad("max_area: %d pixels, want 256 to %d", j.MaxArea, 4096*4096)
	}
	if _, err := denoise.New(j.Solver, j.Steps, j.Shift); err != nil {
		errs = append(errs, err)
	}
	if g := j.Guidance; !(math.Abs(g.Low) <= 100 && math.Abs(g.High) <= 100) {
		bad("sample_guide_scale: %v,%v, want numbers from -100 to 100", g.Low, g.High)
	}
	if !(j.Boundary >= 0 && j.Boundary <= 1) {
		bad("boundary: %v, want 0 to 1", j.Boundary)
	}
	if j.NoiseRNG != noise.KindCUDA && j.NoiseRNG != noise.KindCPU {
		bad("noise_rng: %q, want %q or %q", j.NoiseRNG, noise.KindCUDA, noise.KindCPU)
	}
	if j.FPS < 1 || j.FPS > 240 {
		bad("fps: %d, want 1 to 240", j.FPS)
	}
	if err := j.checkName(); err != nil {
		errs = append(errs, err)
	}
	if j.VAEChunk < 0 {
		bad("VAE_CHUNK_SIZE: %d latent frames, want 1 or more, or 0 for all at once", j.VAEChunk)
	}
	if j.VAEChunkThreshold < 0 {
		bad("VAE_CHUNK_THRESHOLD: %d frames, want 0 or more", j.VAEChunkThreshold)
	}
	if j.VAETile != 0 && j.VAETile < vae.MinTile {
		bad("vae_tile: %d pixels, want %d or more, or 0 for no tiles", j.VAETile, vae.MinTile)
	}
	if j.AttentionChunk < 0 {
		bad("attention_chunk: %d queries, want 1 or more, or 0 for all at once", j.AttentionChunk)
	}
	if _, ok := attentionTypes[j.AttentionDType]; !ok {
		bad("attention_dtype: %q, want f32, f16 or bf16", j.AttentionDType)
	}
	return errors.Join(errs...)
}

// attentionTypes are the values of Job.AttentionDType.
var attentionTypes = map[string]device.DType{"": device.F32, "f32": device.F32, "f16": device.F16, "bf16": device.BF16}

// attention returns the type of queries, keys and values.
func (j Job) attention() device.DType { return attentionTypes[j.AttentionDType] }

// CheckFrames returns an error unless n is a frame count that the model can
// make, 4k+1; the error names the nearest two.
func CheckFrames(n int) error {
	if n >= 1 && n <= maxFrames && n%4 == 1 {
		return nil
	}
	switch {
	case n < 1:
		return fmt.Errorf("frame_num: %d, want 4n+1 frames; the nearest are 1 and 5", n)
	case n > maxFrames:
		return fmt.Errorf("frame_num: %d, want at most %d frames", n, maxFrames)
	}
	below := (n-1)/4*4 + 1
	return fmt.Errorf("frame_num: %d, want 4n+1 frames; the nearest are %d and %d", n, below, below+4)
}

// scale returns the guidance scale at timestep t.
func (j Job) scale(t float64) float64 {
	if t >= j.Boundary*trainTimesteps {
		return j.Guidance.High
	}
	return j.Guidance.Low
}

// generator returns the noise generator that the job asks for.
func (j Job) generator() noise.Generator {
	if j.NoiseRNG == noise.KindCPU {
		return noise.NewCPU(j.Seed)
	}
	return noise.NewCUDA(j.Seed, noise.DefaultMultiprocessors)
}

// vaeChunk returns the latent frames to decode at once in a clip of frames.
func (j Job) vaeChunk(frames int) int {
	if frames <= j.VAEChunkThreshold {
		return 0
	}
	return j.VAEChunk
}
