package studio

import (
	"gimbal/inference"
	"gimbal/inference/noise"
	"gimbal/inference/wan"
	"gimbal/inference/weights"
)

// Field names a part of the form, for Edit and for the place of a Problem.
type Field string

// The fields. Those marked with text are typed by people, and Edit takes them.
const (
	FieldPicture      Field = "picture" // text: a path
	FieldCamera       Field = "camera"  // text: a path of an action folder, or "" for none
	FieldPrompt       Field = "prompt"  // text
	FieldNegative     Field = "negative_prompt"
	FieldFrames       Field = "frames"          // text: 4n+1
	FieldSize         Field = "size"            // text: pixels, or width x height as 480x832
	FieldSteps        Field = "steps"           // text
	FieldSolver       Field = "solver"          // text: unipc or dpm++
	FieldShift        Field = "shift"           // text
	FieldGuidanceLow  Field = "guidance_low"    // text
	FieldGuidanceHigh Field = "guidance_high"   // text
	FieldBoundary     Field = "boundary"        // text: 0 to 1
	FieldSeed         Field = "seed"            // text: 0 to 2^64-1; typing one locks it
	FieldNoise        Field = "noise"           // text: cuda or cpu
	FieldFPS          Field = "fps"             // text: frames a second
	FieldVAEChunk     Field = "vae_chunk"       // text: latent frames; 0 for all at once
	FieldVAEThreshold Field = "vae_threshold"   // text: frames up to which all are decoded at once
	FieldVAETile      Field = "vae_tile"        // text: side of the VAE's tiles in pixels; 0 for none
	FieldAttnChunk    Field = "attention_chunk" // text: queries of an attention at once; 0 for all
	FieldAttnType     Field = "attention_type"  // text: f32, f16 or bf16
	FieldQuant        Field = "quant"           // text: none, int8, nf4 or nf4-double
	FieldOutput       Field = "output"          // text: folder for the videos
	FieldModel        Field = "model"           // the model folder
	FieldNone         Field = ""                // the form as a whole
)

// CameraKind says where a camera path comes from.
type CameraKind string

// The kinds of camera path.
const (
	CameraNone    CameraKind = "none"    // no camera control
	CameraBuiltin CameraKind = "builtin" // one of camera.BuiltinNames
	CameraFolder  CameraKind = "folder"  // an action folder
)

// Camera is the choice of a camera path. The zero value is none.
type Camera struct {
	Kind   CameraKind `json:"kind,omitempty"`
	Name   string     `json:"name,omitempty"`   // of the built-in path
	Folder string     `json:"folder,omitempty"` // the action folder
}

// Inputs are what the form holds: the last valid value of each field.
type Inputs struct {
	// Demo asks for the demo model even where a model folder is chosen.
	Demo           bool               `json:"demo,omitempty"`
	Picture        string             `json:"picture,omitempty"` // path
	Camera         Camera             `json:"camera,omitzero"`
	Prompt         string             `json:"prompt"`
	NegativePrompt string             `json:"negative_prompt"`
	Frames         int                `json:"frames"`   // 4n+1
	MaxArea        int                `json:"max_area"` // pixels of a frame at most
	Steps          int                `json:"steps"`
	Solver         string             `json:"solver"` // sampler.UniPC or sampler.DPM
	Shift          float64            `json:"shift"`
	Guidance       inference.Guidance `json:"guidance"`
	Boundary       float64            `json:"boundary"`
	Seed           uint64             `json:"seed"`
	SeedLocked     bool               `json:"seed_locked,omitempty"` // otherwise Generate draws a new one
	Noise          noise.Kind         `json:"noise"`
	FPS            int                `json:"fps"`
	Quant          weights.Quant      `json:"quant,omitzero"`
	VAEChunk       int                `json:"vae_chunk"`
	VAEThreshold   int                `json:"vae_threshold"`
	VAETile        int                `json:"vae_tile,omitempty"`
	AttentionChunk int                `json:"attention_chunk,omitempty"`
	AttentionType  string             `json:"attention_type,omitempty"` // "f16", "bf16"; "" for f32
	Offload        bool               `json:"offload"`
	Reuse          wan.Reuse          `json:"reuse"`
}

// DefaultInputs are the reference's settings, without picture, camera and prompt.
func DefaultInputs() Inputs { return inputsOfJob(inference.DefaultJob()) }

// inputsOfJob returns what j says of the inputs: all but the quantisation and whether
// the seed is locked. It is the reverse of Inputs.job.
func inputsOfJob(j inference.Job) Inputs {
	in := Inputs{
		Picture:        j.Image,
		Prompt:         j.Prompt,
		NegativePrompt: j.NegativePrompt,
		Frames:         j.Frames,
		MaxArea:        j.MaxArea,
		Steps:          j.Steps,
		Solver:         j.Solver,
		Shift:          j.Shift,
		Guidance:       j.Guidance,
		Boundary:       j.Boundary,
		Seed:           j.Seed,
		Noise:          j.NoiseRNG,
		FPS:            j.FPS,
		VAEChunk:       j.VAEChunk,
		VAEThreshold:   j.VAEChunkThreshold,
		VAETile:        j.VAETile,
		AttentionChunk: j.AttentionChunk,
		AttentionType:  j.AttentionDType,
		Offload:        j.Offload,
		Reuse:          j.Reuse,
	}
	if j.ActionPath != "" {
		in.Camera = Camera{Kind: CameraFolder, Folder: j.ActionPath}
	}
	return in
}

// job returns the inputs as a Job, without an output.
func (in Inputs) job() inference.Job {
	folder := ""
	if in.Camera.Kind == CameraFolder {
		folder = in.Camera.Folder
	}
	return inference.Job{
		Image:             in.Picture,
		ActionPath:        folder,
		Prompt:            in.Prompt,
		NegativePrompt:    in.NegativePrompt,
		Frames:            in.Frames,
		MaxArea:           in.MaxArea,
		Steps:             in.Steps,
		Solver:            in.Solver,
		Shift:             in.Shift,
		Guidance:          in.Guidance,
		Boundary:          in.Boundary,
		Seed:              in.Seed,
		NoiseRNG:          in.Noise,
		FPS:               in.FPS,
		Offload:           in.Offload,
		Reuse:             in.Reuse,
		VAEChunk:          in.VAEChunk,
		VAEChunkThreshold: in.VAEThreshold,
		VAETile:           in.VAETile,
		AttentionChunk:    in.AttentionChunk,
		AttentionDType:    in.AttentionType,
	}
}
