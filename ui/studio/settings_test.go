package studio

import (
	"encoding/json"
	"testing"
)

// FuzzSane makes sure that whatever a file of settings says becomes inputs that the
// engine takes, and that good ones stay as they are.
func FuzzSane(f *testing.F) {
	good := DefaultInputs()
	good.Prompt, good.Picture, good.SeedLocked = "a", "b", true
	text, err := json.Marshal(good)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(text))
	f.Add(`{"frames": 2, "fps": 0, "camera": {"kind": "builtin", "name": "no"}, "solver": "?", "boundary": -1, "vae_tile": 3}`)
	f.Add(`{"frames": 4097, "steps": 100000, "shift": 1e300, "guidance": {"low": 1e9}, "quant": {"kind": "int8", "nested": true}}`)
	f.Fuzz(func(t *testing.T, text string) {
		var in Inputs
		if json.Unmarshal([]byte(text), &in) != nil {
			return
		}
		out := sane(in)
		if again := sane(out); again != out {
			t.Errorf("%+v becomes %+v", out, again)
		}
		job := out.job()
		job.Image, job.Prompt, job.Output = "a.png", "a", "v.mp4"
		if err := job.Validate(); err != nil {
			t.Error(err)
		}
	})
	if sane(good) != good {
		f.Errorf("%+v, want %+v", sane(good), good)
	}
}
