package studio

import (
	"context"
	"os"
	"strings"

	"gimbal/inference/library"
	"gimbal/inference/plan"
)

// usesDemo reports whether the demo model is the one that runs.
func (s *Studio) usesDemo(n *Snapshot) bool {
	return n.Form.Inputs.Demo || n.Settings.ModelFolder == ""
}

// checkpoint returns the folder of the model that runs; "" while the demo model is
// being unpacked.
func (s *Studio) checkpoint(n *Snapshot) string {
	if s.usesDemo(n) {
		return s.facts.demo.Checkpoint
	}
	return n.Settings.ModelFolder
}

// followModel inspects the model when another one is chosen.
func (s *Studio) followModel(n *Snapshot) {
	checkpoint, demo := s.checkpoint(n), s.usesDemo(n)
	if n.Model.Demo != demo || n.Model.Folder != n.Settings.ModelFolder {
		n.Model = Model{Demo: demo, Folder: n.Settings.ModelFolder, Checking: true}
		delete(s.facts.found, "model")
	}
	type about struct {
		checkpoint, folder string
		demo               bool
	}
	s.look("model", about{checkpoint, n.Settings.ModelFolder, demo}, immediate, func(ctx context.Context) func(*Snapshot) {
		if checkpoint == "" {
			return func(*Snapshot) {}
		}
		found, err := s.o.Engine.Inspect(ctx, checkpoint)
		if err != nil {
			found.Whole, found.Details = false, err.Error()
		}
		var wrong *Problem
		if !found.Whole {
			code := ModelBad
			if !exists(checkpoint) {
				code = ModelMissing
			}
			p := problem(FieldModel, Error, code, map[string]any{"Path": checkpoint}, found.Details)
			found.Error, wrong = p.Text, &p
		}
		return func(n *Snapshot) {
			found.Demo, found.Folder = demo, n.Settings.ModelFolder
			n.Model = found
			s.find("model", wrong)
		}
	})
}

// followTokens counts the prompts' tokens when typing pauses.
func (s *Studio) followTokens(n *Snapshot) {
	prompts := [2]string{n.Form.Inputs.Prompt, n.Form.Inputs.NegativePrompt}
	checkpoint := s.checkpoint(n)
	of := [3]string{checkpoint, prompts[0], prompts[1]}
	s.look("tokens", of, typing, func(ctx context.Context) func(*Snapshot) {
		counts := make([]Tokens, len(prompts)) // unknown: the model's check says what is wrong
		if checkpoint != "" {
			if found, err := s.o.Engine.Tokens(ctx, checkpoint, prompts[:]...); err == nil {
				counts = found
			}
		}
		return func(n *Snapshot) { n.Form.Tokens, n.Form.NegativeTokens = counts[0], counts[1] }
	})
}

// planned is what an estimate depends on.
type planned struct {
	checkpoint    string
	values        Values // with the frames that there will be
	asked         Values // as the form has them
	picture       string // path, "" for none
	width, height int    // of the video in pixels
	camera        bool
	device        bool
}

// planned returns what the form's estimate depends on.
func (s *Studio) planned(n *Snapshot) planned {
	of := planned{
		checkpoint: s.checkpoint(n), values: valuesOf(n.Form.Inputs), asked: valuesOf(n.Form.Inputs),
		width: n.Form.Width, height: n.Form.Height,
		camera: n.Form.Camera.Kind != CameraNone && n.Model.HasCamera, device: n.Device.Ready,
	}
	of.values.Frames = n.Form.Frames
	if of.width > 0 {
		of.picture = n.Form.Inputs.Picture
	}
	return of
}

// followEstimates asks for the estimates of the form and of every preset.
func (s *Studio) followEstimates(n *Snapshot) {
	of := s.planned(n)
	s.look("estimate", of, planning, func(ctx context.Context) func(*Snapshot) {
		e := s.estimate(ctx, of)
		return func(n *Snapshot) { n.Form.Estimate = e }
	})
	s.followPresets(n, of)
}

// estimate asks the engine; what cannot be reckoned is not known.
func (s *Studio) estimate(ctx context.Context, of planned) Estimate {
	if of.checkpoint == "" || !of.device {
		return Estimate{}
	}
	e, err := s.o.Engine.Estimate(ctx, of.request())
	if err != nil {
		return Estimate{Error: err.Error()}
	}
	return e
}

// request returns what an engine is asked about.
func (of planned) request() Request {
	in := DefaultInputs()
	of.values.apply(&in)
	in.Picture = of.picture
	return Request{Checkpoint: of.checkpoint, Quant: of.values.Quant, Job: in.job(), Camera: of.camera}
}

// MakeFit changes settings, as few and harmless ones as will do, so that the run fits
// the device's memory. A notice names them.
func (s *Studio) MakeFit() {
	s.background(func() {
		s.mu.Lock()
		of := s.planned(&s.now)
		s.mu.Unlock()
		r, changed, err := s.o.Engine.Fit(s.life, of.request())
		s.touch(func(n *Snapshot) {
			switch {
			case err != nil || len(changed) == 0 && n.Form.Estimate.Fit == plan.TooMuch:
				s.notice(n, Warning, FitNone, nil, errorText(err))
			case len(changed) > 0 && valuesOf(n.Form.Inputs) == of.asked:
				fit := inputsOf(library.Settings{Job: r.Job, Quant: r.Quant})
				s.fill(n, func(in *Inputs) {
					fit.Frames = in.Frames
					valuesOf(fit).apply(in)
				})
				s.notice(n, Info, FitChosen, map[string]any{"Settings": strings.Join(changed, ", ")}, "")
			}
		})
	})
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
