package studio

import (
	"context"
	"crypto/rand"
	"path/filepath"
	"slices"
	"strings"

	"gimbal/inference"
	"gimbal/inference/noise"
	"gimbal/inference/weights"
)

// Values are the settings that a preset holds: everything but picture, camera,
// prompts and seed.
type Values struct {
	Frames       int                `json:"frames"`
	MaxArea      int                `json:"max_area"`
	Steps        int                `json:"steps"`
	Solver       string             `json:"solver"`
	Shift        float64            `json:"shift"`
	Guidance     inference.Guidance `json:"guidance"`
	Boundary     float64            `json:"boundary"`
	Noise        noise.Kind         `json:"noise"`
	FPS          int                `json:"fps"`
	Quant        weights.Quant      `json:"quant,omitzero"`
	VAEChunk     int                `json:"vae_chunk"`
	VAEThreshold int                `json:"vae_threshold"`
	VAETile      int                `json:"vae_tile,omitempty"`
	AttnChunk    int                `json:"attention_chunk,omitempty"`
	AttnType     string             `json:"attention_type,omitempty"`
	Offload      bool               `json:"offload"`
}

// The IDs of the built-in presets.
const (
	PresetQuick      = "quick"
	PresetProduction = "production"
	PresetFull       = "full"
	PresetDemo       = "demo"
)

// The demo's picture and built-in camera path.
const (
	demoPicture = "meadow.png"
	demoCamera  = "orbit-left"
)

// storedPreset is one of the user's own presets.
type storedPreset struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Values Values `json:"values"`
}

func valuesOf(in Inputs) Values {
	return Values{
		Frames: in.Frames, MaxArea: in.MaxArea, Steps: in.Steps, Solver: in.Solver, Shift: in.Shift, Guidance: in.Guidance,
		Boundary: in.Boundary, Noise: in.Noise, FPS: in.FPS, Quant: in.Quant, VAEChunk: in.VAEChunk, VAEThreshold: in.VAEThreshold,
		VAETile: in.VAETile, AttnChunk: in.AttentionChunk, AttnType: in.AttentionType, Offload: in.Offload,
	}
}

func (v Values) apply(in *Inputs) {
	in.Frames, in.MaxArea, in.Steps, in.Solver, in.Shift, in.Guidance = v.Frames, v.MaxArea, v.Steps, v.Solver, v.Shift, v.Guidance
	in.Boundary, in.Noise, in.FPS, in.Quant, in.Offload = v.Boundary, v.Noise, v.FPS, v.Quant, v.Offload
	in.VAEChunk, in.VAEThreshold, in.VAETile = v.VAEChunk, v.VAEThreshold, v.VAETile
	in.AttentionChunk, in.AttentionType = v.AttnChunk, v.AttnType
}

// like reports whether v and w differ in frames and steps at most, which every model
// bears, or in how weights are kept.
func (v Values) like(w Values) bool {
	v.Frames, v.Steps, v.Quant = w.Frames, w.Steps, w.Quant
	return v == w
}

// base returns the settings that suit the model that runs.
func (s *Studio) base(n *Snapshot) Values {
	if s.usesDemo(n) {
		return s.demoValues()
	}
	return valuesOf(DefaultInputs())
}

func (s *Studio) demoValues() Values {
	v := valuesOf(DefaultInputs())
	if d := s.facts.demo.Settings; d.Frames > 0 {
		v.Frames, v.MaxArea, v.Steps, v.Solver, v.Shift, v.Boundary = d.Frames, d.MaxArea, d.Steps, d.Solver, d.Shift, d.Boundary
		v.Guidance = inference.Guidance{Low: d.Guidance, High: d.Guidance}
	}
	return v
}

// builtins returns the built-in presets. All but the demo keep the quantisation that
// is chosen, and are about the user's own model if there is one.
func (s *Studio) builtins(n *Snapshot) []Preset {
	base := valuesOf(DefaultInputs())
	if n.Settings.ModelFolder == "" {
		base = s.demoValues()
	}
	base.Quant = n.Form.Inputs.Quant
	all := []Preset{
		{ID: PresetQuick, Name: "Quick"}, {ID: PresetProduction, Name: "Production"}, {ID: PresetFull, Name: "Full length"},
	}
	for i, size := range [][2]int{{5, 5}, {41, 20}, {81, base.Steps}} {
		all[i].Values, all[i].Builtin = base, true
		all[i].Values.Frames, all[i].Values.Steps = size[0], size[1]
	}
	return append(all, Preset{ID: PresetDemo, Name: "Demo", Builtin: true, Values: s.demoValues()})
}

// derivePresets lists the presets with the estimates that are known.
func (s *Studio) derivePresets(n *Snapshot) {
	presets := s.builtins(n)
	for _, own := range s.facts.presets {
		presets = append(presets, Preset{ID: own.ID, Name: own.Name, Values: own.Values})
	}
	known := map[string]Estimate{}
	for _, old := range n.Presets {
		known[old.ID] = old.Estimate
	}
	current := valuesOf(n.Form.Inputs)
	demo := n.Form.Inputs.Demo
	for i := range presets {
		p := &presets[i]
		p.Estimate = known[p.ID]
		isDemo := p.ID == PresetDemo
		p.Current = p.Values == current && (isDemo == demo || n.Settings.ModelFolder == "")
	}
	n.Presets = presets
}

// followPresets estimates every preset on what the form holds otherwise.
func (s *Studio) followPresets(n *Snapshot, of planned) {
	presets := n.Presets
	var key strings.Builder
	for _, p := range presets {
		key.WriteString(p.ID + "\n")
	}
	type about struct {
		planned
		quant   weights.Quant
		folder  string
		presets string
	}
	common := about{planned: of, quant: of.values.Quant, folder: n.Settings.ModelFolder, presets: key.String()}
	common.values, common.asked = Values{}, Values{}
	demo, folder := s.facts.demo.Checkpoint, n.Settings.ModelFolder
	s.look("presets", common, planning, func(ctx context.Context) func(*Snapshot) {
		found := map[string]Estimate{}
		for _, p := range presets {
			if ctx.Err() != nil {
				break
			}
			one := of
			one.values = p.Values
			if one.checkpoint = folder; p.ID == PresetDemo || folder == "" {
				one.checkpoint = demo
			}
			found[p.ID] = s.estimate(ctx, one)
		}
		return func(n *Snapshot) {
			n.Presets = slices.Clone(n.Presets)
			for i := range n.Presets {
				n.Presets[i].Estimate = found[n.Presets[i].ID]
			}
		}
	})
}

// UsePreset sets the form to a preset's values. "demo" also chooses the demo model,
// its picture, camera path and prompt; the other presets go back to the model folder
// if there is one.
func (s *Studio) UsePreset(id string) {
	s.touch(func(n *Snapshot) {
		i := slices.IndexFunc(n.Presets, func(p Preset) bool { return p.ID == id })
		if i < 0 {
			return
		}
		if id == PresetDemo {
			s.useDemo(n)
			return
		}
		s.fill(n, func(in *Inputs) {
			n.Presets[i].Values.apply(in)
			in.Demo = false
		})
	})
}

// useDemo fills the form with the demo.
func (s *Studio) useDemo(n *Snapshot) {
	demo := s.facts.demo
	s.fill(n, func(in *Inputs) {
		s.demoValues().apply(in)
		in.Demo = n.Settings.ModelFolder != ""
		in.Prompt, in.NegativePrompt = demo.Settings.Prompt, demo.Settings.NegativePrompt
		in.Picture = filepath.Join(demo.Pictures, demoPicture)
		in.Camera = Camera{Kind: CameraBuiltin, Name: demoCamera}
	})
}

// SavePreset keeps the form's values under a name, in place of one's own preset of
// that name.
func (s *Studio) SavePreset(name string) {
	name = strings.TrimSpace(name)
	s.touch(func(n *Snapshot) {
		if !s.freeName(n, name, "") {
			return
		}
		fresh := storedPreset{ID: "own-" + rand.Text()[:10], Name: name, Values: valuesOf(n.Form.Inputs)}
		own := slices.Clone(s.facts.presets)
		if i := slices.IndexFunc(own, func(p storedPreset) bool { return p.Name == name }); i >= 0 {
			fresh.ID = own[i].ID
			own[i] = fresh
		} else {
			own = append(own, fresh)
		}
		s.facts.presets = own
	})
}

// freeName reports whether a preset may be called name, and says so if not. Names of
// built-in presets are taken, and that of another of one's own while renaming id.
func (s *Studio) freeName(n *Snapshot, name, id string) bool {
	taken := slices.ContainsFunc(n.Presets, func(p Preset) bool {
		return strings.EqualFold(p.Name, name) && (p.Builtin || id != "" && p.ID != id)
	})
	if name == "" || taken {
		s.notice(n, Warning, PresetName, map[string]any{"Name": name}, "")
		return false
	}
	return true
}

// RenamePreset renames one of one's own presets.
func (s *Studio) RenamePreset(id, name string) {
	name = strings.TrimSpace(name)
	s.touch(func(n *Snapshot) {
		if !s.freeName(n, name, id) {
			return
		}
		own := slices.Clone(s.facts.presets)
		for i := range own {
			if own[i].ID == id {
				own[i].Name = name
			}
		}
		s.facts.presets = own
	})
}

// DeletePreset deletes one of one's own presets.
func (s *Studio) DeletePreset(id string) {
	s.touch(func(*Snapshot) {
		s.facts.presets = slices.DeleteFunc(slices.Clone(s.facts.presets), func(p storedPreset) bool { return p.ID == id })
	})
}
