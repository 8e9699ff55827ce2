package engine_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gimbal/inference"
	"gimbal/inference/engine"
	"gimbal/inference/golden"
	"gimbal/inference/weights"
)

// linked returns a folder of links to what is in others.
func linked(t *testing.T, dirs ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, from := range dirs {
		entries, err := os.ReadDir(from)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if err := os.Symlink(filepath.Join(from, e.Name()), filepath.Join(dir, e.Name())); err != nil && !os.IsExist(err) {
				t.Fatal(err)
			}
		}
	}
	return dir
}

// TestActReference makes the reference's video of a base-act checkpoint, which is told the
// keys that are pressed and the turns of the camera.
func TestActReference(t *testing.T) {
	tried := false
	for name, scalars := range golden.CausalScalars(t, "e2e_base_act") {
		t.Run(name, func(t *testing.T) {
			var s struct {
				Checkpoint, Assets, Action, Prompt string
				Negative                           string  `json:"negative_prompt"`
				Solver                             string  `json:"solver"`
				Steps                              int     `json:"steps"`
				Shift                              float64 `json:"shift"`
				Guidance                           float64 `json:"guide_scale"`
				Seed                               uint64  `json:"seed"`
				Boundary                           float64 `json:"boundary"`
				Frames                             int     `json:"requested_frames"`
				Area                               int     `json:"max_area"`
			}
			if err := json.Unmarshal(scalars, &s); err != nil {
				t.Fatal(err)
			}
			root := golden.Causal(t)
			if _, err := os.Stat(filepath.Join(root, s.Checkpoint, weights.HighNoise)); err != nil {
				t.Skip("the repository has no checkpoint of this case")
			}
			tried = true
			p := load(t, linked(t, filepath.Join(root, s.Checkpoint), filepath.Join(root, s.Assets)))
			if !p.HasCamera() || !p.ReadsKeys() {
				t.Errorf("follows camera paths: %v, reads keys: %v, want both", p.HasCamera(), p.ReadsKeys())
			}
			job := inference.DefaultJob()
			job.Image, job.ActionPath = filepath.Join(root, "image.png"), filepath.Join(root, "actions", s.Action)
			job.Prompt, job.NegativePrompt, job.Seed, job.NoiseRNG = s.Prompt, s.Negative, s.Seed, "cpu"
			job.Recipe = inference.Recipe{
				Frames: s.Frames, MaxArea: s.Area, Steps: s.Steps, Solver: s.Solver, Shift: s.Shift,
				Guidance: inference.Guidance{Low: s.Guidance, High: s.Guidance}, Boundary: s.Boundary,
			}
			job.Output, job.DumpFile = filepath.Join(t.TempDir(), "act.mp4"), filepath.Join(t.TempDir(), "act.safetensors")
			if _, err := p.Generate(t.Context(), job, "", func(inference.Event) {}); err != nil {
				t.Fatal(err)
			}
			dump, err := weights.Open(job.DumpFile)
			if err != nil {
				t.Fatal(err)
			}
			defer dump.Close()
			reference := golden.CausalCases(t, name)[0]
			for tensor, bound := range map[string]float64{"image_latent": 1e-4, "latent": 1e-4, "video": 1e-3} {
				made, err := dump.Tensor(tensor)
				if err != nil {
					t.Fatal(err)
				}
				got, err := made.Float32s()
				if err != nil {
					t.Fatal(err)
				}
				want, _ := reference.F32(t, tensor)
				golden.Check(t, tensor, got, want, bound)
				t.Logf("%s: relative error %.2g", tensor, golden.RelL2(got, want))
			}
			// A path without keys does not steer it.
			job.ActionPath, job.Output = filepath.Join(root, "actions", "forward"), filepath.Join(t.TempDir(), "forward.mp4")
			if _, err := p.Generate(t.Context(), job, "", func(inference.Event) {}); err == nil || !strings.Contains(err.Error(), "action.npy") {
				t.Errorf("a camera path alone: error %v, want one that names action.npy", err)
			}
		})
	}
	if os.Getenv("GIMBAL_CAUSAL_DIR") != "" && !tried {
		t.Error("no case was tried")
	}
}

// TestActionString steers a camera model by keys, and goes on with such a run.
func TestActionString(t *testing.T) {
	p := load(t, golden.Checkpoint(t))
	job := quick(t)
	job.ActionPath, job.ActionString, job.Frames = "", "w-4,dl-3", 81
	want := job
	if _, err := p.Generate(t.Context(), want, "", func(e inference.Event) {
		if e, ok := e.(inference.Prepared); ok && e.Frames != 9 {
			t.Errorf("%d frames, want 9", e.Frames)
		}
	}); err != nil {
		t.Fatal(err)
	}
	job.Output = filepath.Join(t.TempDir(), "video.mp4")
	run := interrupt(t, p, job, 2)
	if _, err := p.Resume(t.Context(), run, func(inference.Event) {}); err != nil {
		t.Fatal(err)
	}
	if string(read(t, job.Output)) != string(read(t, want.Output)) {
		t.Error("resumed, the video is another")
	}
	job.Output, job.ActionString = filepath.Join(t.TempDir(), "bad.mp4"), "w-4,"
	_, err := p.Generate(t.Context(), job, "", func(inference.Event) {})
	if errs := inference.SettingErrors(err); len(errs) != 1 || errs[0].Setting != "action_string" {
		t.Errorf("error %v, want one of action_string", err)
	}
}

// Keys make paths for cam checkpoints; an act one is told those of a folder.
func TestKeysAreNotForActModels(t *testing.T) {
	for setting, job := range map[string]inference.Job{
		"": {}, "action_string": {ActionString: "w-4"}, "allow_act2cam": {AllowAct2Cam: true},
	} {
		if err := engine.CheckKeys(job, false); err != nil {
			t.Errorf("%s: %v", setting, err)
		}
		found := ""
		for _, e := range inference.SettingErrors(engine.CheckKeys(job, true)) {
			found = e.Setting
		}
		if found != setting {
			t.Errorf("an act model refuses %q, want %q", found, setting)
		}
	}
}
