package studio

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/google/renameio/v2"

	"gimbal/inference"
)

// Settings are kept between sessions, beside the last inputs, the recents and one's
// own presets.
type Settings struct {
	WindowWidth  float32 `json:"window_width,omitempty"` // in Fyne's units; 0 if never set
	WindowHeight float32 `json:"window_height,omitempty"`
	Language     string  `json:"language,omitempty"`   // such as "zh"; "" for the system's
	Appearance   string  `json:"appearance,omitempty"` // "light", "dark"; "" for the system's
	OutputDir    string  `json:"output_dir,omitempty"` // folder for the videos
	ModelFolder  string  `json:"model_folder,omitempty"`
	// AssetsFolder has the text encoder and the VAE of a model folder without them; "" for
	// the ones that lie around it. KnownAssets is the last model folder that had both.
	AssetsFolder string `json:"assets_folder,omitempty"`
	KnownAssets  string `json:"known_assets,omitempty"`
	Server       string `json:"server,omitempty"`        // address of the one that makes the videos; "" for this machine
	ServerModel  string `json:"server_model,omitempty"`  // name of the model there
	ModelsFolder string `json:"models_folder,omitempty"` // for models that are downloaded, each in a folder of its name
	// Download is one that is not finished; no Model for none.
	Download Download `json:"download,omitzero"`
}

// SetWindow remembers the window's size, in Fyne's units.
func (s *Studio) SetWindow(width, height float32) {
	s.change(func(n *Snapshot) { n.Settings.WindowWidth, n.Settings.WindowHeight = width, height })
}

// SetLanguage chooses the language, "" for the system's.
func (s *Studio) SetLanguage(tag string) {
	s.change(func(n *Snapshot) { n.Settings.Language = tag })
}

// SetAppearance chooses "light", "dark", or "" for the system's.
func (s *Studio) SetAppearance(name string) {
	s.change(func(n *Snapshot) { n.Settings.Appearance = name })
}

// stored is what settings.json holds.
type stored struct {
	Settings Settings       `json:"settings"`
	Inputs   Inputs         `json:"inputs"`
	Recents  []string       `json:"recents,omitempty"`
	Presets  []storedPreset `json:"presets,omitempty"`
}

// oldKeys are what settings were called, in inputs and presets, before these held jobs.
var oldKeys = map[string]string{
	"picture": "image", "frames": "frame_num", "steps": "sample_steps", "solver": "sample_solver", "shift": "sample_shift",
	"guidance": "sample_guide_scale", "seed": "base_seed", "noise": "noise_rng", "vae_chunk": "vae_chunk_size",
	"attention_type": "attention_dtype", "offload": "offload_model",
}

// unmarshalOld reads the settings of before into job. Others are as they were.
func unmarshalOld(old map[string]json.RawMessage, job *inference.Job) error {
	renamed := map[string]json.RawMessage{}
	for key, value := range old {
		if now, ok := oldKeys[key]; ok {
			key = now
		}
		renamed[key] = value
	}
	text, err := json.Marshal(renamed)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, job)
}

// UnmarshalJSON also reads inputs of before they held a job.
func (in *Inputs) UnmarshalJSON(text []byte) error {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(text, &keys); err != nil {
		return err
	}
	if _, ok := keys["job"]; ok || len(keys) == 0 {
		type plain Inputs
		return json.Unmarshal(text, (*plain)(in))
	}
	var camera struct{ Kind, Name, Folder string }
	if of, ok := keys["camera"]; ok {
		if err := json.Unmarshal(of, &camera); err != nil {
			return err
		}
		delete(keys, "camera")
	}
	if camera.Kind == "folder" {
		in.Job.ActionPath = camera.Folder
	}
	if in.Camera = ""; camera.Kind == "builtin" {
		in.Camera = camera.Name
	}
	var rest struct {
		Demo       bool
		SeedLocked bool `json:"seed_locked"`
	}
	if err := json.Unmarshal(text, &rest); err != nil {
		return err
	}
	in.Demo, in.SeedLocked = rest.Demo, rest.SeedLocked
	return unmarshalOld(keys, &in.Job)
}

// values are what a preset holds of a job.
type values inference.Job

// UnmarshalJSON also reads presets of before they held a job.
func (v *values) UnmarshalJSON(text []byte) error {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(text, &keys); err != nil {
		return err
	}
	return unmarshalOld(keys, (*inference.Job)(v))
}

func (s *Studio) settingsPath() string { return filepath.Join(s.o.Dir, "settings.json") }

// stored returns what is to be kept. s.mu is held.
func (s *Studio) stored() stored {
	kept := stored{Settings: s.now.Settings, Inputs: s.now.Form.Inputs, Presets: slices.Clone(s.state.presets)}
	for _, r := range s.now.Recents {
		kept.Recents = append(kept.Recents, r.Path)
	}
	return kept
}

// checkSettings keeps them when they have changed. s.mu is held.
func (s *Studio) checkSettings() {
	if s.untouched() {
		return
	}
	s.check("settings", fmt.Sprintf("%+v", s.stored()), saving, func(context.Context) func(*Snapshot) {
		s.saving.Lock() // or older ones might be written last
		defer s.saving.Unlock()
		s.mu.Lock()
		stored := s.stored()
		s.mu.Unlock()
		err := s.saveSettings(stored)
		return func(n *Snapshot) {
			if err != nil {
				s.notice(n, Error, SaveFailed, map[string]any{"Path": s.settingsPath()}, err.Error())
			}
		}
	})
}

// untouched reports whether this is the first start and the form waits for the demo model to
// be filled: what is kept of it then would be taken for the user's own wish. s.mu is held.
func (s *Studio) untouched() bool {
	return !s.state.edited && s.state.models[true].checkpoint == "" && s.state.demoErr == nil
}

func (s *Studio) saveSettings(kept stored) error {
	text, err := json.MarshalIndent(kept, "", " ")
	if err != nil {
		return err
	}
	return renameio.WriteFile(s.settingsPath(), text, 0o644)
}

// restore reads what was kept. A damaged file is set aside.
func (s *Studio) restore(n *Snapshot) {
	text, err := os.ReadFile(s.settingsPath())
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	kept := stored{Settings: n.Settings, Inputs: n.Form.Inputs}
	if err == nil {
		err = json.Unmarshal(text, &kept)
	}
	if err != nil {
		aside := filepath.Join(s.o.Dir, "settings-damaged-"+time.Now().Format("20060102-150405")+".json")
		if renamed := os.Rename(s.settingsPath(), aside); renamed != nil {
			err = errors.Join(err, renamed)
		}
		s.notice(n, Warning, SettingsDamaged, map[string]any{"Path": aside}, err.Error())
		return
	}
	s.state.edited = true
	n.Settings, n.Form.Inputs = kept.Settings, kept.Inputs.sanitized()
	for _, p := range kept.Presets {
		in := Inputs{Job: inference.Job(p.Values)}.sanitized()
		p.Values = values(valuesOf(in.Job))
		s.state.presets = append(s.state.presets, p)
	}
	for _, path := range kept.Recents[:min(len(kept.Recents), maxRecents)] {
		n.Recents = append(n.Recents, Recent{Path: path})
	}
}
