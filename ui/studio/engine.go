package studio

import (
	"context"

	"gimbal/inference"
	"gimbal/inference/weights"
)

// Engine is what a Studio needs of inference. NewEngine returns the real one; tests
// have their own. Its methods are called from several goroutines, Run from one at a
// time, and every one of them returns within a second after its context ended.
type Engine interface {
	// Device opens the device, at the first call, and says what it is.
	Device(ctx context.Context) (Device, error)
	// Inspect says what the checkpoint in a folder holds and what is wrong with it.
	Inspect(ctx context.Context, checkpoint string) (Model, error)
	// Tokens counts the tokens of texts.
	Tokens(ctx context.Context, checkpoint string, texts ...string) ([]Tokens, error)
	// Estimate says what a run will take. The job may lack a picture and prompts.
	Estimate(ctx context.Context, r Request) (Estimate, error)
	// Fit changes settings of a run, as few and harmless ones as will do, until it fits
	// the device: it returns the run with them and names them. It names none if the run
	// fits already, or if nothing makes it fit.
	Fit(ctx context.Context, r Request) (Request, []string, error)
	// Run makes a video, or goes on with one, and reports what happens.
	Run(ctx context.Context, r Request, emit func(inference.Event)) (inference.Saved, error)
	// Memory returns what is allocated on the device, at once.
	Memory() Memory
	// Close releases checkpoint and device. No other call may be under way.
	Close() error
}

// Request is a run that an Engine is asked to make.
type Request struct {
	Checkpoint string // folder
	Quant      weights.Quant
	Job        inference.Job
	// Resume is the folder of a run to go on with; Job is then not used.
	Resume string
	// Camera says for Estimate that there is a camera path, whose folder need not be
	// there yet.
	Camera bool
}
