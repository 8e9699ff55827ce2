package studio

import (
	"context"
	"crypto/rand"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"gimbal/inference"
)

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
	Values values `json:"values"`
}

// valuesOf returns j as a preset holds it: without picture, camera path, prompts, seed and
// what it writes.
func valuesOf(j inference.Job) inference.Job { return withValues(inference.Job{}, j) }

// withValues returns values, which a preset holds, with the rest of j.
func withValues(j, values inference.Job) inference.Job {
	values.Image, values.ActionPath, values.Prompt, values.NegativePrompt, values.Seed = j.Image, j.ActionPath, j.Prompt, j.NegativePrompt, j.Seed
	values.ActionString, values.AllowAct2Cam, values.EvenJumps, values.PerFrameIntrinsics = j.ActionString, j.AllowAct2Cam, j.EvenJumps, j.PerFrameIntrinsics
	values.CameraScale, values.DecoderPath = j.CameraScale, j.DecoderPath
	values.ChunkNoise = false // a walk's
	values.Output, values.FramesDir, values.DumpFile = j.Output, j.FramesDir, j.DumpFile
	return values
}

// alike reports whether v and w differ in frames and steps at most, which every model
// bears, or in how weights are kept and changed.
func alike(v, w inference.Job) bool {
	v.Frames, v.Steps, v.Quant, v.LoRAs = w.Frames, w.Steps, w.Quant, w.LoRAs
	return v == w
}

// suiting returns the values that suit a model, LingBot-World's while nothing is known of it.
func (s *Studio) suiting(n *Snapshot, demo bool) inference.Job {
	v := valuesOf(inference.DefaultJob())
	if m, ok := s.inspected(n, demo); ok && m.model.Recipe != (inference.Recipe{}) {
		v.Recipe = m.model.Recipe
	}
	return v
}

// builtins returns the built-in presets. All but the demo keep the quantisation and the LoRAs
// that are chosen, and are about the user's own model if there is one. With a LoRA that is
// distilled to a few steps they are about these, as the others would spoil the video.
func (s *Studio) builtins(n *Snapshot) []Preset {
	base := s.suiting(n, !hasOwn(n))
	base.Quant, base.LoRAs = n.Form.Inputs.Job.Quant, n.Form.Inputs.Job.LoRAs
	few, _, isFew := base.LoRAs.FewSteps(base.Recipe)
	all := []Preset{
		{ID: PresetQuick, Name: "Quick"}, {ID: PresetProduction, Name: "Production"}, {ID: PresetFull, Name: "Full length"},
	}
	for i, size := range presetSizes(base.Recipe) {
		all[i].Values, all[i].Builtin = base, true
		all[i].Values.Frames, all[i].Values.Steps = size[0], size[1]
		if isFew {
			few.Frames = size[0]
			all[i].Values.Recipe = few
		}
	}
	return append(all, Preset{ID: PresetDemo, Name: "Demo", Builtin: true, Values: s.suiting(n, true)})
}

// presetSizes are the frames and steps of the presets: of a causal model whole chunks, and of
// one of few steps all of them.
func presetSizes(r inference.Recipe) [3][2]int {
	sizes := [3][2]int{{5, 5}, {41, 20}, {81, r.Steps}}
	if r.Causal.Mode == "" || r.Chunk == 0 {
		return sizes
	}
	for i, size := range sizes {
		latent := max(r.Chunk, inference.Wan.LatentFrames(size[0]))
		sizes[i][0] = inference.Wan.Frames(latent - latent%r.Chunk)
		if r.Causal.Mode == inference.CausalFast {
			sizes[i][1] = r.Steps
		}
	}
	return sizes
}

// derivePresets lists the presets with the estimates that are known.
func (s *Studio) derivePresets(n *Snapshot) {
	presets := s.builtins(n)
	for _, own := range s.state.presets {
		presets = append(presets, Preset{ID: own.ID, Name: own.Name, Values: inference.Job(own.Values)})
	}
	known := map[string]Estimate{}
	for _, old := range n.Presets {
		known[old.ID] = old.Estimate
	}
	current, demo := valuesOf(n.Form.Inputs.Job), n.Form.Inputs.Demo
	for i := range presets {
		p := &presets[i]
		p.Estimate = known[p.ID]
		p.Current = p.Values == current && ((p.ID == PresetDemo) == demo || !hasOwn(n))
	}
	n.Presets = presets
}

// planPresets estimates every preset on what the form holds otherwise.
func (s *Studio) planPresets(n *Snapshot, form planned) {
	presets, own := n.Presets, s.place(n, !hasOwn(n))
	demo := s.folder(n, true)
	var all strings.Builder
	for _, p := range presets {
		fmt.Fprintf(&all, "%s %+v\n", p.ID, p.Values)
	}
	type about struct {
		planned
		demo, presets string
	}
	of := about{form, demo, all.String()}
	of.Checkpoint, of.server, of.Job = own.checkpoint, own.server, inference.Job{Image: form.Job.Image}
	s.check("presets", of, planning, func(ctx context.Context) func(*Snapshot) {
		found := map[string]Estimate{}
		for _, p := range presets {
			if ctx.Err() != nil {
				break
			}
			one := of.planned
			one.Job = withValues(form.Job, p.Values)
			if p.ID == PresetDemo {
				one.Checkpoint, one.server = demo, ""
				one.ready = one.ready && of.server == "" // this machine may rest while a server works
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
	s.userChange(func(n *Snapshot) {
		i := slices.IndexFunc(n.Presets, func(p Preset) bool { return p.ID == id })
		if i < 0 {
			return
		}
		if id == PresetDemo {
			s.useDemo(n)
			return
		}
		s.fill(n, func(in *Inputs) {
			in.Job = withValues(in.Job, n.Presets[i].Values)
			in.Demo = false
		})
	})
}

// useDemo fills the form with the demo.
func (s *Studio) useDemo(n *Snapshot) {
	demo := s.state.demo
	s.fill(n, func(in *Inputs) {
		in.Job = withValues(in.Job, s.suiting(n, true))
		in.Job.Prompt, in.Job.NegativePrompt = demo.Settings.Prompt, demo.Settings.NegativePrompt
		in.Job.Image = filepath.Join(demo.Pictures, demoPicture)
		in.Camera, in.Job.ActionPath = demoCamera, ""
		in.Demo = hasOwn(n)
	})
	_, known := s.inspected(n, true)
	s.state.unsuited = !known
}

// SavePreset keeps the form's values under a name, in place of one's own preset of
// that name.
func (s *Studio) SavePreset(name string) {
	name = strings.TrimSpace(name)
	s.userChange(func(n *Snapshot) {
		if !s.freeName(n, name, "") {
			return
		}
		fresh := storedPreset{ID: "own-" + rand.Text()[:10], Name: name, Values: values(valuesOf(n.Form.Inputs.Job))}
		own := slices.Clone(s.state.presets)
		if i := slices.IndexFunc(own, func(p storedPreset) bool { return p.Name == name }); i >= 0 {
			fresh.ID = own[i].ID
			own[i] = fresh
		} else {
			own = append(own, fresh)
		}
		s.state.presets = own
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
	s.userChange(func(n *Snapshot) {
		if !s.freeName(n, name, id) {
			return
		}
		own := slices.Clone(s.state.presets)
		for i := range own {
			if own[i].ID == id {
				own[i].Name = name
			}
		}
		s.state.presets = own
	})
}

// DeletePreset deletes one of one's own presets.
func (s *Studio) DeletePreset(id string) {
	s.userChange(func(*Snapshot) {
		s.state.presets = slices.DeleteFunc(slices.Clone(s.state.presets), func(p storedPreset) bool { return p.ID == id })
	})
}

// deriveFewSteps finds what a distilled LoRA offers.
func (s *Studio) deriveFewSteps(n *Snapshot) {
	job := n.Form.Inputs.Job
	n.Form.FewSteps = 0
	if few, _, ok := job.LoRAs.FewSteps(job.Recipe); ok && few != job.Recipe {
		n.Form.FewSteps = few.Steps
	}
}

// UseFewSteps sets the form to what a distilled LoRA wants.
func (s *Studio) UseFewSteps() {
	s.userChange(func(n *Snapshot) {
		if few, _, ok := n.Form.Inputs.Job.LoRAs.FewSteps(n.Form.Inputs.Job.Recipe); ok {
			s.fill(n, func(in *Inputs) { in.Job.Recipe, in.Job.Caches = few, inference.Caches{} })
		}
	})
}
