package studio

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"gimbal/assets"
	"gimbal/inference"
)

// FuzzSanitized makes sure that whatever a file of settings says becomes inputs that the
// engine takes, and that good ones stay as they are.
func FuzzSanitized(f *testing.F) {
	good := DefaultInputs()
	good.Job.Prompt, good.Job.Image, good.Camera, good.SeedLocked = "a", "b", "forward", true
	text, err := json.Marshal(good)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(text))
	f.Add(`{"frames": 2, "fps": 0, "camera": {"kind": "builtin", "name": "no"}, "solver": "?", "boundary": -1, "vae_tile": 3}`)
	f.Add(`{"frames": 4097, "steps": 100000, "shift": 1e300, "guidance": {"low": 1e9}, "quant": {"kind": "int8", "nested": true}}`)
	f.Add(`{"job": {"frame_num": 4097, "attention_dtype": "f32", "save_file": "/x.mp4", "vae_chunk_threshold": 3}}`)
	f.Fuzz(func(t *testing.T, text string) {
		var in Inputs
		if json.Unmarshal([]byte(text), &in) != nil {
			return
		}
		out := in.sanitized()
		if again := out.sanitized(); again != out {
			t.Errorf("%+v becomes %+v", out, again)
		}
		job := out.Job
		job.Image, job.Prompt, job.Output = "a.png", "a", "v.mp4"
		if err := job.Validate(); err != nil {
			t.Error(err)
		}
	})
	if good.sanitized() != good {
		f.Errorf("%+v, want %+v", good.sanitized(), good)
	}
}

// TestOldSettings opens the settings that commit 203db1e kept.
func TestOldSettings(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		must(t, b.Close(t.Context()))
		text, err := os.ReadFile(filepath.Join("testdata", "203db1e", "settings.json"))
		must(t, err)
		must(t, os.WriteFile(b.settingsPath(), text, 0o644))
		for range 2 { // as they were kept, and as they are kept now
			b.start()
			s := b.Snapshot()
			job := inference.Job{
				Image: "/home/ada/demo/pictures/meadow.png", ActionPath: "/home/ada/camera", Prompt: "a road", NegativePrompt: "fog",
				Recipe: inference.Recipe{Frames: 9, MaxArea: 9216, Steps: 3, Solver: "dpm++", Shift: 2.5, Guidance: inference.Guidance{Low: 2, High: 4}, Boundary: 0.8},
				Seed:   7, NoiseRNG: "cpu", FPS: 24, Quant: inference.QuantINT8, VAEChunk: 2, VAETile: 128, AttentionDType: "f16",
			}
			if want := (Inputs{SeedLocked: true, Job: job}); s.Form.Inputs != want {
				t.Errorf("inputs %+v, want %+v", s.Form.Inputs, want)
			}
			job.Quant = inference.QuantNF4Double
			if own := s.Presets[len(s.Presets)-1]; own.Name != "Mine" || own.ID != "own-KN7VKM7NKK" || own.Values != valuesOf(job) {
				t.Errorf("preset %+v, want the values %+v", own, valuesOf(job))
			}
			if want := (Settings{WindowWidth: 1000, WindowHeight: 700, Language: "zh", Appearance: "dark", OutputDir: "/home/ada/videos"}); s.Settings != want {
				t.Errorf("settings %+v, want %+v", s.Settings, want)
			}
			if len(s.Notices) != 0 {
				t.Errorf("notices %+v", s.Notices)
			}
			must(t, b.Close(t.Context()))
		}
	})
}

// TestOldCamera reads inputs with a built-in path as they were kept before.
func TestOldCamera(t *testing.T) {
	in := DefaultInputs()
	must(t, json.Unmarshal([]byte(`{"demo": true, "camera": {"kind": "builtin", "name": "orbit-left"}, "frames": 5}`), &in))
	want := DefaultInputs()
	want.Demo, want.Camera, want.Job.Frames = true, "orbit-left", 5
	if in != want {
		t.Errorf("%+v, want %+v", in, want)
	}
}

// TestKilledAtTheStart ends the first start before the demo model is unpacked: nothing is kept
// that would be taken for the user's wish.
func TestKilledAtTheStart(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := &bench{t: t, dir: dir, trash: dir, recipe: demoRecipe}
		o := b.options()
		o.Demo = func() (assets.Demo, error) { time.Sleep(time.Minute); return assets.Demo{}, nil }
		st, err := New(o)
		must(t, err)
		time.Sleep(10 * time.Second)
		if exists(st.settingsPath()) {
			t.Error("settings are kept before the form is filled")
		}
		must(t, st.Close(context.Background()))
		if exists(st.settingsPath()) {
			t.Error("settings are kept at the end, although the form was never filled")
		}
	})
}
