package engine

import (
	"context"
	"errors"

	"gimbal/inference"
	"gimbal/inference/weights"
)

// Engine makes videos. NewLocal returns the one that works on this machine; clients know
// it by this interface only. Its methods are called from several goroutines, and every
// one of them returns within a second after its context ended.
type Engine interface {
	// Device opens the device, at the first call, and says what it is and what it can do.
	Device(ctx context.Context) (Device, error)
	// Inspect says what the checkpoint of a run holds; of the job its parts and its mode count.
	// What is wrong with it is an error beside a Model that says what was found.
	Inspect(ctx context.Context, r Request) (Model, error)
	// Tokens counts the tokens of texts, by the tokenizer of such a run.
	Tokens(ctx context.Context, r Request, texts ...string) ([]Tokens, error)
	// Plan says what a run will take, before anything is loaded. The job may lack a picture
	// and prompts. A job that does not fit is no error: see inference.Plan.Fit.
	Plan(ctx context.Context, r Request) (inference.Plan, error)
	// Fit changes settings of a run, as few and as harmless ones as will do, until it fits
	// the device with all weights of a phase in memory, or none is left to change. It
	// returns the request with them, its plan, and what was chosen and why.
	Fit(ctx context.Context, r Request) (Request, inference.Plan, []inference.Choice, error)
	// Run makes a video, or goes on with one, and reports what happens to emit, which must
	// return quickly. Runs wait for each other. An inference.PausedError says where an
	// unfinished run is kept.
	Run(ctx context.Context, r Request, emit func(inference.Event)) (inference.Saved, error)
	// Memory returns what is allocated on the device now.
	Memory() Memory
	// Close releases checkpoint and device. No other call may be under way.
	Close() error
}

// Lister is an Engine that knows which checkpoints there are: Request.Checkpoint is one of
// their names, not a folder of this machine.
type Lister interface {
	Checkpoints(ctx context.Context) ([]string, error)
}

// ErrCancelled is the cause (context.Cause) of the end of a Run's context where its user wants
// no video any more: a run on a server ends there, too. Otherwise it goes on there.
var ErrCancelled = errors.New("cancelled")

// Request is a run that an Engine is asked about, or to make.
type Request struct {
	Checkpoint string // folder
	// Dims plans for a model of these sizes that need not be there, in place of Checkpoint.
	Dims weights.Dims
	Job  inference.Job
	// Resume is the folder of a run to go on with. Job is then not used, and Checkpoint only
	// where the checkpoint is elsewhere than when the run began.
	Resume string
	// Camera plans for a camera path where the job names none.
	Camera bool
	// PictureWidth and PictureHeight, in pixels, plan for a picture where the job names none; 0
	// for a usual one.
	PictureWidth, PictureHeight int
	// Only names the one setting that Fit may change, such as "vae_tile"; "" for all.
	Only string
	// Inputs is a folder with copies of the job's picture and camera path, as KeepInputs
	// makes them, that nobody changes: the run's folder then shares them instead of
	// copying them once more. "" for none.
	Inputs string
}

// Device is the machine that runs the model.
type Device struct {
	Name  string // such as "Apple M3 Ultra"
	Limit int64  // bytes of memory that a run may use; 0 if not known
	// Unsupported holds, for each kind of weights that this device cannot run, why.
	Unsupported map[inference.Quant]string
	// SwitchedOff are the kernels that failed on this machine when they were checked, each with what
	// was wrong; others do their work.
	SwitchedOff []string
}

// Model is what a checkpoint holds.
type Model struct {
	Dir       string // the checkpoint's folder, which may be below the one that was given
	Whole     bool   // every part is there and fits
	HasCamera bool   // it follows camera paths
	ReadsKeys bool   // it is told keys, and of a camera path the turns only: an act checkpoint
	Parts     []Part
	Twins     bool              // both experts hold the same weights, as where one file was fetched twice
	Modes     []string          // in which it can be run, as inference.Causal has them: "" for two experts
	Variant   Variant           // which of the family it is; its recipe is the makers'
	Recipe    inference.Recipe  // what suits it
	Cached    []inference.Quant // kinds of weights that need not be made first
	LoRAs     []string          // names of those that can be used, where it is not this machine's files that can
}

// Part is one part of a checkpoint.
type Part struct {
	Name  string // such as "high_noise_model", "text encoder", "tokenizer" or "VAE"
	Path  string // "" if it is not there
	Bytes int64
	Err   error // what is wrong with it, or why it is missed

	DTypes map[string]int     // number of tensors by their type
	Unused []string           // names of the tensors that the model does not use
	Zeros  []string           // names of the layers that hold zeros only, as they do until they are trained
	Config *weights.WanConfig // an expert's; nil for other parts
	Other  bool               // of a model that a run has to ask for, such as the fast one in a folder of experts
}

// Tokens counts a prompt's tokens.
type Tokens struct {
	N     int
	Limit int // how many the model reads
}

// Memory is what a device holds, in bytes.
type Memory struct {
	Device int64 // allocated
	Limit  int64 // 0 if not known
}
