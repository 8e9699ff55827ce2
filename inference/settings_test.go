package inference

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// TestSettings makes sure that every setting of the default job passes its own check and
// survives being typed again.
func TestSettings(t *testing.T) {
	job := DefaultJob()
	job.Image, job.Output = "picture.png", "video.mp4"
	if err := job.Validate(); err != nil {
		t.Error(err)
	}
	seen := map[string]bool{}
	for _, s := range Settings {
		if seen[s.Name] {
			t.Errorf("%s is there twice", s.Name)
		}
		seen[s.Name] = true
		if s.Flag && s.Help == "" {
			t.Errorf("%s is a flag without help", s.Name)
		}
		again := job
		if err := s.Set(&again, s.Text(job)); err != nil || s.Text(again) != s.Text(job) {
			t.Errorf("%s: %q typed again gives %q, %v", s.Name, s.Text(job), s.Text(again), err)
		}
		for _, c := range s.Choices {
			if err := s.Set(&again, c); err != nil || s.Text(again) != c {
				t.Errorf("%s: %q gives %q, %v", s.Name, c, s.Text(again), err)
			}
		}
	}
}

// TestMistakes makes sure that a wrong value is named for what it is and changes nothing.
func TestMistakes(t *testing.T) {
	for _, c := range []struct {
		setting, text string
		want          Mistake
		message       string
	}{
		{"frame_num", "7", FramesNot4n1, "frame_num: 7, want 4n+1 frames; the nearest are 5 and 9"},
		{"frame_num", "-3", FramesNot4n1, "frame_num: -3, want 4n+1 frames; the nearest are 1 and 5"},
		{"frame_num", "9999", OutOfRange, "frame_num: 9999, want 1 to 4093"},
		{"frame_num", "many", NotAWholeNumber, ""},
		{"sample_steps", "0", OutOfRange, "sample_steps: 0, want 1 to 1000"},
		{"sample_steps", "99999999999999999999", NotAWholeNumber, ""},
		{"sample_solver", "heun", NotAChoice, `sample_solver: "heun", want unipc, dpm++ or euler`},
		{"sample_shift", "NaN", NotANumber, ""},
		{"sample_guide_scale", "1,2,3", NotANumber, ""},
		{"sample_guide_scale", "5,x", NotANumber, ""},
		{"guidance_high", "101", OutOfRange, ""},
		{"max_area", "480x832x3", NotAWholeNumber, ""},
		{"max_area", "10x10", OutOfRange, ""},
		{"base_seed", "-1", OutOfRange, ""},
		{"easycache", "-1", OutOfRange, ""},
		{"easycache", "0.1,x", NotAWholeNumber, ""},
		{"magcache", "0.1,0", OutOfRange, ""},
		{"magcache", "0.1,2,1.5", OutOfRange, ""},
		{"magcache", "0.1,2,0.1,3", NotANumber, ""},
		{"teacache", "0.1,wan2.2", NotAChoice, ""},
		{"guidance_interval", "0.5", NotANumber, ""},
		{"guidance_interval", "0.5,0.5", Unusable, ""},
		{"guidance_interval", "0.5,1.5", OutOfRange, ""},
		{"lora", "a.safetensors:high=101", OutOfRange, ""},
		{"base_seed", "1.5", NotAWholeNumber, ""},
		{"vae_tile", "63", OutOfRange, ""},
		{"offload_model", "maybe", NotAChoice, ""},
		{"quant", "int4", NotAChoice, ""},
	} {
		job := DefaultJob()
		err := FindSetting(c.setting).Set(&job, c.text)
		var wrong *SettingError
		if !errors.As(err, &wrong) || wrong.Setting != c.setting || wrong.Mistake != c.want {
			t.Errorf("%s %q: error %v, want %s", c.setting, c.text, err, c.want)
		} else if c.message != "" && err.Error() != c.message {
			t.Errorf("%s %q: %q, want %q", c.setting, c.text, err, c.message)
		}
		if job != DefaultJob() {
			t.Errorf("%s %q changes the job", c.setting, c.text)
		}
	}
}

// TestTyped reads what people type.
func TestTyped(t *testing.T) {
	for _, c := range []struct {
		setting, text string
		want          func(*Job)
	}{
		{"max_area", "480x832", func(j *Job) { j.MaxArea = 480 * 832 }},
		{"max_area", " 480*832 ", func(j *Job) { j.MaxArea = 480 * 832 }},
		{"sample_shift", "2,5", func(j *Job) { j.Shift = 2.5 }},
		{"sample_guide_scale", "3.5", func(j *Job) { j.Guidance = Guidance{3.5, 3.5} }},
		{"sample_guide_scale", "3.5, 4", func(j *Job) { j.Guidance = Guidance{3.5, 4} }},
		{"easycache", "0.05", func(j *Job) { j.EasyCache = EasyCache{0.05, 10} }},
		{"magcache", "0.06", func(j *Job) { j.MagCache = MagCache{0.06, 2, 0.1} }},
		{"magcache", "0.12, 4,0.2", func(j *Job) { j.MagCache = MagCache{0.12, 4, 0.2} }},
		{"teacache", "0.2", func(j *Job) { j.TeaCache = TeaCache{0.2, ""} }},
		{"teacache", "0.2,wan2.1-480p", func(j *Job) { j.TeaCache = TeaCache{0.2, "wan2.1-480p"} }},
		{"vae_tile", "0", func(j *Job) { j.VAETile = 0 }},
		{"quant", "none", func(j *Job) { j.Quant = QuantNone }},
		{"quant", "nf4-double", func(j *Job) { j.Quant = QuantNF4Double }},
		{"base_seed", "18446744073709551615", func(j *Job) { j.Seed = 1<<64 - 1 }},
		{"offload_model", "false", func(j *Job) { j.Offload = false }},
	} {
		got, want := DefaultJob(), DefaultJob()
		c.want(&want)
		if err := FindSetting(c.setting).Set(&got, c.text); err != nil || got != want {
			t.Errorf("%s %q: %+v, %v", c.setting, c.text, got, err)
		}
	}
}

// TestOldQuant reads what files of older versions say of the weights.
func TestOldQuant(t *testing.T) {
	for text, want := range map[string]Quant{
		`{"kind":"nf4","nested":true}`: QuantNF4Double, `{"kind":"int8"}`: QuantINT8, `{"kind":"none"}`: QuantNone, `{"kind":""}`: QuantNone,
		`"nf4"`: QuantNF4, `"none"`: QuantNone, `""`: QuantNone,
	} {
		var q Quant
		if err := json.Unmarshal([]byte(text), &q); err != nil || q != want {
			t.Errorf("%s: %q, %v, want %q", text, q, err, want)
		}
	}
	var q Quant
	if json.Unmarshal([]byte("[]"), &q) == nil {
		t.Error("a list is no kind of weights")
	}
}

// TestFileSettings makes sure that settings which name files say so: a service takes none of
// them.
func TestFileSettings(t *testing.T) {
	for _, s := range Settings {
		if names := strings.Contains(s.Help, "`file") || strings.Contains(s.Help, "`folder") || strings.Contains(s.Help, "file`") || strings.Contains(s.Help, "folder`") || strings.Contains(s.Help, "`picture`"); names != (s.Use != "") {
			t.Errorf("%s: Use is %q, its help says %q", s.Name, s.Use, s.Help)
		}
	}
}
