package studio

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/google/renameio/v2"
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
}

// stored is what settings.json holds.
type stored struct {
	Settings Settings       `json:"settings"`
	Inputs   Inputs         `json:"inputs"`
	Recents  []string       `json:"recents,omitempty"`
	Presets  []storedPreset `json:"presets,omitempty"`
}

func (s *Studio) settingsPath() string { return filepath.Join(s.o.Dir, "settings.json") }

// stored returns what is to be kept. s.mu is held.
func (s *Studio) stored() stored {
	kept := stored{Settings: s.now.Settings, Inputs: s.now.Form.Inputs, Presets: slices.Clone(s.facts.presets)}
	for _, r := range s.now.Recents {
		kept.Recents = append(kept.Recents, r.Path)
	}
	return kept
}

// fingerprint tells whether what is to be kept has changed. s.mu is held.
func (s *Studio) fingerprint() string { return fmt.Sprintf("%+v", s.stored()) }

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
	s.facts.touched = true
	n.Settings, n.Form.Inputs = kept.Settings, sane(kept.Inputs)
	for _, p := range kept.Presets {
		var in Inputs
		p.Values.apply(&in)
		p.Values = valuesOf(sane(in))
		s.facts.presets = append(s.facts.presets, p)
	}
	for _, path := range kept.Recents[:min(len(kept.Recents), mostRecents)] {
		n.Recents = append(n.Recents, Recent{Path: path})
	}
}

// sane returns in with each value that Edit would refuse replaced by its default: the
// file may be of another version, or edited by hand.
func sane(in Inputs) Inputs {
	good := DefaultInputs()
	for _, field := range order {
		edit(&good, field, in.text(field)) // leaves the default where it finds a problem
	}
	if k := in.Camera.Kind; k != CameraBuiltin && k != CameraFolder {
		in.Camera = Camera{}
	}
	good.Demo, good.Camera, good.SeedLocked, good.Offload, good.Reuse = in.Demo, in.Camera, in.SeedLocked, in.Offload, in.Reuse
	return good
}
