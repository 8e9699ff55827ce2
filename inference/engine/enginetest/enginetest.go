// Package enginetest has an engine for the tests of its clients.
package enginetest

import (
	"context"
	"errors"
	"image"
	"image/color"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"gimbal/inference"
	"gimbal/inference/engine"
	"gimbal/inference/video"
)

// Engine computes nothing: its runs write small files and report events, a step whenever
// the test lets one happen.
type Engine struct {
	steps chan struct{} // a token per step

	mu       sync.Mutex
	set      Settings
	requests []engine.Request
	closed   bool
}

// Settings say what an Engine plays.
type Settings struct {
	Fail     error         // what runs end with after their first step
	Broken   bool          // a part of every checkpoint is missed
	NoCamera bool          // no checkpoint follows camera paths
	Parts    []engine.Part // of every checkpoint, besides its VAE
	// Model, unless nil, is what Inspect returns of a folder that is there, if ok.
	Model   func(r engine.Request) (m engine.Model, ok bool, err error)
	Recipes map[string]inference.Recipe // by checkpoint, where it is not the usual one
}

// New returns an Engine.
func New() *Engine { return &Engine{steps: make(chan struct{}, 1000)} }

// Set changes what the Engine plays.
func (e *Engine) Set(s Settings) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.set = s
}

func (e *Engine) settings() Settings {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.set
}

// Steps lets n steps happen.
func (e *Engine) Steps(n int) {
	for range n {
		e.steps <- struct{}{}
	}
}

// Requests returns the runs that were asked for.
func (e *Engine) Requests() []engine.Request {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.requests)
}

// Closed reports whether the Engine was closed.
func (e *Engine) Closed() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.closed
}

// Device implements engine.Engine.
func (e *Engine) Device(context.Context) (engine.Device, error) {
	return engine.Device{Name: "fake", Limit: 1 << 30}, nil
}

// Inspect implements engine.Engine.
func (e *Engine) Inspect(_ context.Context, r engine.Request) (engine.Model, error) {
	dir := r.Checkpoint
	set := e.settings()
	m := engine.Model{Recipe: inference.DefaultRecipe()}
	if own, ok := set.Recipes[dir]; ok {
		m.Recipe = own
	}
	if _, err := os.Stat(dir); err != nil {
		return m, err
	}
	if set.Model != nil {
		if m, ok, err := set.Model(r); ok {
			return m, err
		}
	}
	m.Parts = []engine.Part{{Name: "VAE", Path: dir}}
	if set.Broken {
		err := errors.New("VAE: not there")
		m.Parts[0] = engine.Part{Name: "VAE", Err: err}
		return m, err
	}
	m.Parts = append(m.Parts, set.Parts...)
	m.Whole, m.HasCamera = true, !set.NoCamera
	return m, nil
}

// Tokens implements engine.Engine: a word is a token.
func (e *Engine) Tokens(_ context.Context, _ engine.Request, texts ...string) ([]engine.Tokens, error) {
	var all []engine.Tokens
	for _, text := range texts {
		all = append(all, engine.Tokens{N: len(strings.Fields(text)) + 1, Limit: 8})
	}
	return all, nil
}

// Plan implements engine.Engine: a second and a megabyte per frame and step.
func (e *Engine) Plan(_ context.Context, r engine.Request) (inference.Plan, error) {
	n := r.Job.Frames * r.Job.Steps
	likely := time.Duration(n) * time.Second
	return inference.Plan{
		Phases: []inference.Phase{{Name: "sample", Times: r.Job.Steps, Buffers: int64(n) << 20}},
		Time:   inference.Estimate{Low: likely, Likely: likely, High: likely},
	}, nil
}

// Fit implements engine.Engine: everything fits in INT8, but for 81 frames.
func (e *Engine) Fit(ctx context.Context, r engine.Request) (engine.Request, inference.Plan, []inference.Choice, error) {
	if r.Job.Frames == 81 {
		return r, inference.Plan{}, nil, errors.New("too much")
	}
	r.Job.Quant = inference.QuantINT8
	p, err := e.Plan(ctx, r)
	return r, p, []inference.Choice{{Setting: "quant", Value: "int8"}}, err
}

// Memory implements engine.Engine.
func (e *Engine) Memory() engine.Memory { return engine.Memory{Device: 5, Limit: 10} }

// Close implements engine.Engine.
func (e *Engine) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	return nil
}

// The size of the videos.
const width, height = 32, 16

// Run implements engine.Engine. A resumed run goes on from its second step of three.
func (e *Engine) Run(ctx context.Context, r engine.Request, emit func(inference.Event)) (inference.Saved, error) {
	e.mu.Lock()
	e.requests = append(e.requests, r)
	fail := e.set.Fail
	e.mu.Unlock()
	j, base := r.Job, strings.TrimSuffix(r.Job.Output, filepath.Ext(r.Job.Output))
	runDir, first := base+".run", 1
	if r.Resume != "" {
		runDir, first, j.Steps = r.Resume, 2, 3
	}
	if err := os.MkdirAll(runDir, 0o755); err != nil {
		return inference.Saved{}, err
	}
	emit(inference.Loading{Part: "VAE", Done: 1, Total: 2})
	emit(inference.Planned{Plan: inference.Plan{Time: inference.Estimate{Likely: time.Hour}}})
	emit(inference.Notice{Text: "a notice"})
	emit(inference.Prepared{Width: width, Height: height, Frames: j.Frames, RunDir: runDir, FirstStep: first, Steps: j.Steps})
	emit(inference.TextEncoded{})
	emit(inference.PictureEncoded{})
	for step := first; step <= j.Steps; step++ {
		select {
		case <-ctx.Done():
			return inference.Saved{}, &inference.PausedError{Dir: runDir, Err: ctx.Err()}
		case <-e.steps:
		}
		emit(inference.Step{
			Index: step, Total: j.Steps, Expert: "low_noise_model", Seconds: 0.5, Remaining: time.Minute,
			Preview: []image.Image{image.NewRGBA(image.Rect(0, 0, 4, 2))},
		})
		if fail != nil {
			return inference.Saved{}, &inference.PausedError{Dir: runDir, Err: fail}
		}
	}
	if err := writeFrames(j.FramesDir, j.Frames, emit); err != nil {
		return inference.Saved{}, err
	}
	saved := inference.Saved{Video: base + ".mp4", ContactSheet: base + ".png", Sidecar: base + ".json"}
	for _, path := range []string{saved.Video, saved.ContactSheet, saved.Sidecar} {
		if err := os.WriteFile(path, []byte("{}"), 0o644); err != nil {
			return inference.Saved{}, err
		}
	}
	return saved, os.RemoveAll(runDir)
}

// writeFrames writes a video's frames to dir, unless that is "".
func writeFrames(dir string, frames int, emit func(inference.Event)) error {
	if dir == "" {
		return nil
	}
	pngs, err := video.CreatePNGs(dir)
	if err != nil {
		return err
	}
	for i := range frames {
		frame := image.NewRGBA(image.Rect(0, 0, width, height))
		frame.Set(i%width, 0, color.White)
		if err := pngs.WriteFrame(frame); err != nil {
			return err
		}
		emit(inference.Frame{Index: i + 1, Total: frames, Picture: frame})
		emit(inference.Decoding{Frames: i + 1, Total: frames})
	}
	return nil
}
