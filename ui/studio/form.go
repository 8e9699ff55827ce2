package studio

import (
	"maps"
	"math/rand/v2"
	"path/filepath"
	"strings"

	"gimbal/inference"
	"gimbal/inference/clip"
)

// Field names a part of the form, for Edit and for the place of a Problem: a setting, by
// its name in inference.Settings, or one of the others below.
type Field string

// The fields that this package and the window know by name.
const (
	FieldPicture  Field = "image"
	FieldCamera   Field = "action_path" // also of a built-in path
	FieldActions  Field = "action_string"
	FieldPrompt   Field = "prompt"
	FieldNegative Field = "negative_prompt"
	FieldFrames   Field = "frame_num"
	FieldSize     Field = "max_area"
	FieldSteps    Field = "sample_steps"
	FieldSeed     Field = "base_seed" // typing one locks it
	FieldQuant    Field = "quant"
	FieldLoRAs    Field = "lora" // one a line
	FieldMode     Field = "infer_mode"
	FieldChunk    Field = "chunk_size"
	FieldWindow   Field = "local_attn_size"

	// These are no settings of a run.
	FieldOutput Field = "output" // folder for the videos
	FieldModel  Field = "model"  // the model folder
	FieldNone   Field = ""       // the form as a whole
)

// fields are all of them, in the form's order.
var fields = func() []Field {
	all := []Field{FieldModel}
	for _, s := range inference.Settings {
		if s.Form {
			all = append(all, Field(s.Name))
		}
	}
	return append(all, FieldOutput, FieldNone)
}()

// isSetting reports whether Edit takes the field as a setting of a run.
func (f Field) isSetting() bool { return f != FieldModel && f != FieldOutput && f != FieldNone }

// Inputs are what the form holds: the last valid value of each field.
type Inputs struct {
	// Demo asks for the demo model even where a model folder is chosen.
	Demo bool `json:"demo,omitempty"`
	// Camera is the name of a built-in camera path; Job.ActionPath and ActionString are "" then.
	Camera     string `json:"camera,omitempty"`
	SeedLocked bool   `json:"seed_locked,omitempty"` // otherwise Generate draws a new one
	// Variations is how many videos Generate makes, each with a seed of its own; 0 for one.
	Variations int `json:"variations,omitempty"`
	// Job holds every setting; what it writes is not chosen in the form.
	Job inference.Job `json:"job"`
}

// DefaultInputs are the reference's settings, without picture, camera and prompt.
func DefaultInputs() Inputs { return Inputs{Job: inference.DefaultJob()} }

// text returns a field's value as an entry shows it.
func (in Inputs) text(field Field) string {
	if !field.isSetting() {
		return ""
	}
	return inference.FindSetting(string(field)).Text(in.Job)
}

// Edit takes what was typed or chosen in a field. Text that is no valid value stays
// as it is (Form.Text), has a Problem, and leaves the last valid value in Inputs.
func (s *Studio) Edit(field Field, text string) {
	s.userChange(func(n *Snapshot) {
		s.state.typing = field
		s.forget(n, field)
		typed := maps.Clone(n.Form.typed)
		typed[field] = text
		n.Form.typed = typed
		if field == FieldOutput {
			n.Settings.OutputDir = strings.TrimSpace(text)
			return
		}
		before := n.Form.Inputs
		if field == FieldCamera { // in place of the keys
			s.forget(n, FieldActions)
		}
		if p := edit(&n.Form.Inputs, field, text); p != nil {
			s.state.typed[field] = *p
		}
		if field == FieldMode { // another model of the same folder, with settings of its own
			s.state.unsuited = true
		}
		if field == FieldActions && n.Form.Inputs.Job.Frames != before.Job.Frames { // the keys say how long the video is
			s.forget(n, FieldFrames)
			n.Form.Revision++
		}
	})
}

// edit sets a setting to what text says, or returns what is wrong with it.
func edit(in *Inputs, field Field, text string) *Problem {
	switch field {
	case FieldPicture:
		text = strings.TrimSpace(text)
	case FieldCamera:
		in.Camera, in.Job.ActionString, text = "", "", strings.TrimSpace(text)
	case FieldActions:
		if text = strings.TrimSpace(text); text != "" {
			in.Camera = ""
		}
		if keys, err := clip.ParseActions(text); err == nil {
			in.Job.Frames = len(keys)
		}
	}
	if err := inference.FindSetting(string(field)).Set(&in.Job, text); err != nil {
		p := settingProblem(inference.SettingErrors(err)[0], Error)
		if _, ok := p.Args["Found"]; ok {
			p = problem(field, Error, p.Code, with(p.Args, "Found", strings.TrimSpace(text)), p.Details)
		}
		return &p
	}
	in.SeedLocked = in.SeedLocked || field == FieldSeed
	return nil
}

// forget drops what is known of a field's last text. s.mu is held.
func (s *Studio) forget(n *Snapshot, field Field) {
	delete(s.state.typed, field)
	delete(s.state.failed, field)
	n.Form.typed = maps.Clone(n.Form.typed)
	delete(n.Form.typed, field)
}

// fill changes the inputs otherwise than by typing: entries are set anew.
func (s *Studio) fill(n *Snapshot, f func(in *Inputs)) {
	f(&n.Form.Inputs)
	n.Form.Revision++
	n.Form.typed = map[Field]string{}
	clear(s.state.typed)
	clear(s.state.failed)
}

// fillOne is fill for one field; what is typed elsewhere stays.
func (s *Studio) fillOne(n *Snapshot, field Field, f func(in *Inputs)) {
	f(&n.Form.Inputs)
	n.Form.Revision++
	s.forget(n, field)
}

// SetPicture chooses the picture to start from; "" for none.
func (s *Studio) SetPicture(path string) { s.set(FieldPicture, absolute(path)) }

// SetCamera chooses a built-in camera path; "" for none.
func (s *Studio) SetCamera(name string) {
	s.userChange(func(n *Snapshot) {
		s.forget(n, FieldActions)
		s.fillOne(n, FieldCamera, func(in *Inputs) { in.Camera, in.Job.ActionPath, in.Job.ActionString = name, "", "" })
	})
}

// SetCameraFolder chooses the folder of a camera path.
func (s *Studio) SetCameraFolder(path string) { s.set(FieldCamera, absolute(path)) }

// SetOutputDir chooses the folder for videos.
func (s *Studio) SetOutputDir(path string) { s.set(FieldOutput, absolute(path)) }

// set is Edit by something else than an entry, which then shows the new value.
func (s *Studio) set(field Field, text string) {
	s.Edit(field, text)
	s.userChange(func(n *Snapshot) { n.Form.Revision++ })
}

// absolute returns path as it means the same from every folder.
func absolute(path string) string {
	if path == "" {
		return ""
	}
	if whole, err := filepath.Abs(path); err == nil {
		return whole
	}
	return path
}

// NewSeed draws a new seed.
func (s *Studio) NewSeed() { s.userChange(s.newSeed) }

// newSeed draws a seed that people can read and type.
func (s *Studio) newSeed(n *Snapshot) {
	s.fillOne(n, FieldSeed, func(in *Inputs) { in.Job.Seed = rand.Uint64N(1 << 32) })
}

// LockSeed says whether Generate keeps the seed or draws a new one.
func (s *Studio) LockSeed(on bool) {
	s.userChange(func(n *Snapshot) { n.Form.Inputs.SeedLocked = on })
}

// MaxVariations is how many videos can be asked for at once.
const MaxVariations = 9

// SetVariations says how many videos Generate makes, each with a seed of its own.
func (s *Studio) SetVariations(n int) {
	s.userChange(func(snapshot *Snapshot) { snapshot.Form.Inputs.Variations = min(max(n, 1), MaxVariations) })
}

// sanitized returns in with each value that cannot be used replaced by its default: a file
// may be of another version, or edited by hand.
func (in Inputs) sanitized() Inputs {
	job := inference.DefaultJob()
	for _, s := range inference.Settings {
		if s.Form && s.Check(in.Job) == nil {
			_ = s.Set(&job, s.Text(in.Job)) // Check has tried it
		}
	}
	in.Job = job
	in.Variations = min(max(in.Variations, 0), MaxVariations)
	if in.Camera != "" {
		in.Job.ActionPath, in.Job.ActionString = "", ""
	}
	return in
}
