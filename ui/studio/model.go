package studio

import (
	"context"
	"os"
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
	s.look("model", checkpoint, immediate, func(ctx context.Context) func(*Snapshot) {
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
			found.Demo, found.Folder = n.Model.Demo, n.Model.Folder
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
	values        Values
	picture       string // path, "" for none
	width, height int    // of the video in pixels
	camera        bool
	device        bool
}

// followEstimates asks for the estimates of the form and of every preset.
func (s *Studio) followEstimates(n *Snapshot) {
	of := planned{
		checkpoint: s.checkpoint(n), values: valuesOf(n.Form.Inputs), width: n.Form.Width, height: n.Form.Height,
		camera: n.Form.Camera.Kind != CameraNone && n.Model.HasCamera, device: n.Device.Ready,
	}
	of.values.Frames = n.Form.Frames
	if of.width > 0 {
		of.picture = n.Form.Inputs.Picture
	}
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
	in := DefaultInputs()
	of.values.apply(&in)
	in.Picture = of.picture
	e, err := s.o.Engine.Estimate(ctx, Request{Checkpoint: of.checkpoint, Quant: of.values.Quant, Job: in.job(), Camera: of.camera})
	if err != nil {
		return Estimate{Error: err.Error()}
	}
	return e
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
