package studio

import (
	"context"
	"path/filepath"
	"slices"
	"strings"

	"gimbal/inference"
	"gimbal/inference/engine"
)

// inspected is what is known of a model.
type inspected struct {
	place
	assets  string // that were found for it where none were named
	model   engine.Model
	missing bool
	err     error
}

// place is where a model is: in a folder of this machine, or on a server, by its name there.
type place struct{ server, checkpoint string }

// hasOwn reports whether there is another model than the demo's.
func hasOwn(n *Snapshot) bool { return n.Settings.Server != "" || n.Settings.ModelFolder != "" }

// usesDemo reports whether the demo model is the one that runs, on this machine.
func (s *Studio) usesDemo(n *Snapshot) bool { return n.Form.Inputs.Demo || !hasOwn(n) }

// place returns that of the demo model, no checkpoint while it is being unpacked, or the
// user's own.
func (s *Studio) place(n *Snapshot, demo bool) place {
	switch {
	case demo:
		return place{"", s.state.demo.Checkpoint}
	case n.Settings.Server != "":
		return place{n.Settings.Server, n.Settings.ServerModel}
	}
	return place{"", n.Settings.ModelFolder}
}

// folder returns the place of a model where that is a folder of this machine.
func (s *Studio) folder(n *Snapshot, demo bool) string {
	if p := s.place(n, demo); p.server == "" {
		return p.checkpoint
	}
	return ""
}

// checkpoint returns the folder, or on a server the name, of the model that runs.
func (s *Studio) checkpoint(n *Snapshot) string { return s.place(n, s.usesDemo(n)).checkpoint }

// server returns the address of the server that makes the form's video; "" for this machine.
func (s *Studio) server(n *Snapshot) string { return s.place(n, s.usesDemo(n)).server }

// demoCheckpoint is what a queue asks for.
func (s *Studio) demoCheckpoint() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.demo.Checkpoint
}

// assets returns the folder that the text encoder and the VAE of the model that runs are in;
// "" where it has them, or they lie around it.
func (s *Studio) assets(n *Snapshot) string {
	if s.usesDemo(n) || s.server(n) != "" {
		return ""
	}
	return n.Settings.AssetsFolder
}

func modelCheck(demo bool) string { return map[bool]string{true: "demo model", false: "model"}[demo] }

// question is what is asked of a model, and of which server; "" for this machine.
type question struct {
	server string
	engine.Request
}

func (q question) place() place { return place{q.server, q.Checkpoint} }

// request asks for a model: for the one that runs, in the form's mode.
func (s *Studio) request(n *Snapshot, demo bool) question {
	at := s.place(n, demo)
	q := question{at.server, engine.Request{Checkpoint: at.checkpoint}}
	if !demo && at.server == "" {
		q.Job.Assets = n.Settings.AssetsFolder
	}
	if demo == s.usesDemo(n) {
		q.Job.Causal.Mode = n.Form.Inputs.Job.Causal.Mode
	}
	return q
}

// inspect asks an engine what a model is. Where it has no text encoder and no VAE, those of
// known, a folder that has both, are tried.
func (s *Studio) inspect(ctx context.Context, q question, known string) inspected {
	found := inspected{place: q.place()}
	if q.Checkpoint == "" {
		return found
	}
	e, err := s.servers.engine(q.server)
	if err != nil {
		found.err = err
		return found
	}
	found.model, found.err = e.Inspect(ctx, q.Request)
	found.missing = found.err != nil && q.server == "" && !exists(q.Checkpoint)
	if found.err != nil && !found.missing && lacksAssets(found.model) && q.Job.Assets == "" && known != "" {
		q.Job.Assets = known
		if m, err := e.Inspect(ctx, q.Request); err == nil {
			return inspected{place: q.place(), model: m, assets: known}
		}
	}
	return found
}

// assetParts are the parts that models of the family share.
var assetParts = []string{"text encoder", "tokenizer", "VAE"}

// lacksAssets reports whether all that is wrong with a model is that such parts are not there.
func lacksAssets(m engine.Model) bool {
	lacks := false
	for _, p := range m.Parts {
		switch missing := p.Err != nil && p.Path == ""; {
		case missing && slices.Contains(assetParts, p.Name):
			lacks = true
		case p.Err != nil && !p.Other:
			return false
		}
	}
	return lacks
}

// assetsOf returns the folder, other than the model's own, that its text encoder is in; "" for none.
func assetsOf(m engine.Model) string {
	for _, p := range m.Parts {
		if p.Name != assetParts[0] || p.Path == "" {
			continue
		}
		if inside, err := filepath.Rel(m.Dir, p.Path); err != nil || !filepath.IsLocal(inside) {
			return filepath.Dir(p.Path)
		}
	}
	return ""
}

// checkModel inspects a model when it is another one.
func (s *Studio) checkModel(n *Snapshot, demo bool) {
	asked, folder, known := s.request(n, demo), s.folder(n, demo), ""
	if !demo {
		known = n.Settings.KnownAssets
	}
	s.check(modelCheck(demo), asked, immediate, func(ctx context.Context) func(*Snapshot) {
		s.watcher.Add(folder)
		found := s.inspect(ctx, asked, known)
		return func(n *Snapshot) {
			know := func() { s.state.models[demo] = found }
			if !demo && found.assets != "" {
				n.Settings.AssetsFolder = found.assets
			}
			if !demo && asked.server == "" && found.model.Whole && assetsOf(found.model) == "" {
				n.Settings.KnownAssets = found.model.Dir
			}
			switch {
			case demo && asked.Checkpoint != "" && !s.state.edited: // the first start: something that works at once
				know()
				s.useDemo(n)
			case s.state.unsuited && demo == s.usesDemo(n) && found.err == nil:
				s.suit(n, know)
				s.state.unsuited = false
			default:
				know()
			}
		}
	})
}

// deriveModel shows the model that runs.
func (s *Studio) deriveModel(n *Snapshot) {
	demo := s.usesDemo(n)
	n.Model = Model{Demo: demo, Server: s.place(n, false).server, Folder: s.place(n, false).checkpoint, Checking: s.pending(modelCheck(demo))}
	if m, ok := s.inspected(n, demo); ok {
		n.Model.Model, n.Model.Missing = m.model, m.missing
		n.Model.Assets, n.Model.LacksAssets = assetsOf(m.model), m.err != nil && !demo && lacksAssets(m.model)
		if m.err != nil {
			n.Model.Details = m.err.Error()
		}
	}
}

// inspected returns what is known of a model, if anything is.
func (s *Studio) inspected(n *Snapshot, demo bool) (m inspected, ok bool) {
	m = s.state.models[demo]
	return m, m.checkpoint != "" && m.place == s.place(n, demo)
}

// suit changes by f which model runs, or what is known of it. Settings that suited the
// model of before give way to those that suit the one of now, and any that are for a model
// that is sampled in another way.
func (s *Studio) suit(n *Snapshot, f func()) {
	before := s.suiting(n, s.usesDemo(n))
	f()
	after, now := s.suiting(n, s.usesDemo(n)), valuesOf(n.Form.Inputs.Job)
	other := after.Causal.Mode != before.Causal.Mode || after.Causal.Mode != now.Causal.Mode
	if (other || alike(now, before)) && !alike(after, now) {
		s.fill(n, func(in *Inputs) { in.Job = withValues(in.Job, after) })
	}
}

// SetDemo asks for the demo model even where a model folder is chosen.
func (s *Studio) SetDemo(on bool) {
	s.userChange(func(n *Snapshot) {
		s.suit(n, func() { n.Form.Inputs.Demo = on })
		_, known := s.inspected(n, s.usesDemo(n))
		s.state.unsuited = !known
	})
}

// SetAssetsFolder chooses a folder with the text encoder and the VAE for a model folder that
// has none; "" for those around it.
func (s *Studio) SetAssetsFolder(path string) {
	s.userChange(func(n *Snapshot) { n.Settings.AssetsFolder = absolute(path) })
}

// SetModelFolder chooses the model folder; "" forgets it, and the demo model is used.
func (s *Studio) SetModelFolder(path string) {
	s.userChange(func(n *Snapshot) { s.useModel(n, absolute(path)) })
}

func (s *Studio) useModel(n *Snapshot, path string) {
	s.suit(n, func() {
		if n.Settings.ModelFolder != path {
			n.Settings.AssetsFolder = ""
		}
		n.Settings.ModelFolder = path
		n.Form.Inputs.Demo = false
	})
	_, known := s.inspected(n, s.usesDemo(n))
	s.state.unsuited = !known
}

// checkTokens counts the prompts' tokens when typing pauses.
func (s *Studio) checkTokens(n *Snapshot) {
	prompts := [2]string{n.Form.Inputs.Job.Prompt, n.Form.Inputs.Job.NegativePrompt}
	asked := s.request(n, s.usesDemo(n))
	of := struct {
		question
		prompts [2]string
	}{asked, prompts}
	s.check("tokens", of, typing, func(ctx context.Context) func(*Snapshot) {
		counts := make([]engine.Tokens, len(prompts)) // unknown: the model's check says what is wrong
		if e, err := s.servers.engine(asked.server); err == nil && asked.Checkpoint != "" {
			if found, err := e.Tokens(ctx, asked.Request, prompts[:]...); err == nil && len(found) == len(prompts) {
				counts = found
			}
		}
		return func(n *Snapshot) { n.Form.Tokens, n.Form.NegativeTokens = counts[0], counts[1] }
	})
}

// planned is what an estimate depends on: a request, and what is known beside it.
type planned struct {
	engine.Request
	server        string
	width, height int // of the video in pixels
	ready         bool
}

// planned returns what the form's estimate depends on.
func (s *Studio) planned(n *Snapshot) planned {
	job := withValues(inference.DefaultJob(), valuesOf(n.Form.Inputs.Job))
	job.Frames, job.Assets = n.Form.Frames, s.assets(n)
	if n.Form.Width > 0 {
		job.Image = n.Form.Inputs.Job.Image
	}
	return planned{
		Request: engine.Request{Checkpoint: s.checkpoint(n), Job: job, Camera: n.Form.Camera.Chosen() && n.Model.HasCamera},
		server:  s.server(n), width: n.Form.Width, height: n.Form.Height, ready: n.Device.Ready,
	}
}

// startPlans asks for the estimates of the form and of every preset.
func (s *Studio) startPlans(n *Snapshot) {
	of := s.planned(n)
	s.check("estimate", of, planning, func(ctx context.Context) func(*Snapshot) {
		e := s.estimate(ctx, of)
		return func(n *Snapshot) { n.Form.Estimate = e }
	})
	s.planPresets(n, of)
}

// estimate asks the engine; what cannot be planned is not known.
func (s *Studio) estimate(ctx context.Context, of planned) Estimate {
	if of.Checkpoint == "" || !of.ready {
		return Estimate{}
	}
	e, err := s.servers.engine(of.server)
	if err != nil {
		return Estimate{Error: err.Error()}
	}
	p, err := e.Plan(ctx, of.Request)
	if err != nil {
		return Estimate{Error: err.Error()}
	}
	return Estimate{Known: true, Time: p.Time, Memory: p.Peak().Memory(), Resident: p.Largest().Resident(), Fit: p.Fit()}
}

// MakeFit changes settings, as few and harmless ones as will do, so that the run fits
// the device's memory. A notice names them.
func (s *Studio) MakeFit() {
	s.background(func() {
		s.mu.Lock()
		asked, of := valuesOf(s.now.Form.Inputs.Job), s.planned(&s.now)
		s.mu.Unlock()
		r, p, choices, err := s.fit(of)
		var names []string
		for _, c := range choices {
			names = append(names, c.Setting+" "+c.Value)
		}
		s.userChange(func(n *Snapshot) {
			switch {
			case err != nil:
				s.notice(n, Warning, FitNone, nil, err.Error())
			case p.Fit() == inference.TooMuch:
				s.notice(n, Warning, FitNone, nil, "")
			case len(choices) > 0 && valuesOf(n.Form.Inputs.Job) == asked && s.place(n, s.usesDemo(n)) == place{of.server, of.Checkpoint}:
				s.fill(n, func(in *Inputs) {
					r.Job.Frames = in.Job.Frames // fewer where the path is shorter
					in.Job = withValues(in.Job, r.Job)
				})
				s.notice(n, Info, FitChosen, map[string]any{"Settings": strings.Join(names, ", ")}, "")
			}
		})
	})
}

func (s *Studio) fit(of planned) (engine.Request, inference.Plan, []inference.Choice, error) {
	e, err := s.servers.engine(of.server)
	if err != nil {
		return of.Request, inference.Plan{}, nil, err
	}
	return e.Fit(s.life, of.Request)
}
