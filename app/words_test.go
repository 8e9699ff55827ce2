package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"gimbal/inference"
	"gimbal/inference/golden"
	"gimbal/inference/service/cause"
	"gimbal/inference/service/cause/causetest"
)

// TestVersion says what a report of a fault needs.
func TestVersion(t *testing.T) {
	for _, arg := range []string{"version", "--version"} {
		out, errs, code := gimbal(t, arg)
		for _, word := range []string{"Gimbal " + version, "commit", "device: CPU", "system: " + runtime.GOOS, runtime.Version()} {
			if !strings.Contains(out, word) {
				t.Errorf("%s does not say %q:\n%s", arg, word, out)
			}
		}
		if code != 0 || errs != "" {
			t.Errorf("%s: exit code %d\n%s", arg, code, errs)
		}
	}
}

// TestRemoteErrors says what went wrong on a server in the words and with the flags of this machine.
func TestRemoteErrors(t *testing.T) {
	for _, err := range causetest.Errors() {
		err = fmt.Errorf("step 1: %w", err)
		remote := &cause.Remote{Where: "studio", Text: err.Error(), Err: cause.Of(err, nil).Err()}
		if got, want := errorText(remote), "studio: "+errorText(err); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestHelp asks for help in every way.
func TestHelp(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"help"}, "generate"}, {[]string{"--help"}, "generate"}, {[]string{"help", "generate"}, "-base_seed"},
		{[]string{"generate", "--help"}, "-base_seed"}, {[]string{"help", "bench", "kernel"}, "OPERATION"}, {[]string{"help", "version"}, "usage"},
	} {
		if out, errs, code := gimbal(t, c.args...); code != 0 || errs != "" || !strings.Contains(out, c.want) {
			t.Errorf("%v: exit code %d\n%s%s", c.args, code, out, errs)
		}
	}
	if _, errs, code := gimbal(t, "help", "generat"); code != exitUsage || !strings.Contains(errs, "'gimbal generate'") {
		t.Errorf("help for a command that there is not: exit code %d\n%s", code, errs)
	}
}

// TestSuggestFlag finds the flag that was meant.
func TestSuggestFlag(t *testing.T) {
	fs := (&reference{job: inference.DefaultJob()}).flags("generate")
	for name, want := range map[string]string{
		"-frame-num": "frame_num", "frames": "frame_num", "num_frames": "frame_num", "seed": "base_seed", "cfg": "sample_guide_scale", "cfg-scale": "sample_guide_scale",
		"guidance_scale": "sample_guide_scale", "steps": "sample_steps", "num_inference_steps": "sample_steps", "sample_step": "sample_steps", "STEPS": "sample_steps",
		"promt": "prompt", "negative-prompt": "negative_prompt", "neg_prompt": "negative_prompt", "n_prompt": "negative_prompt", "imgae": "image", "output": "save_file", "o": "save_file", "ckpt": "ckpt_dir",
		"ckptdir": "ckpt_dir", "width": "size", "widht": "size", "solver": "sample_solver", "scheduler": "sample_solver", "shift": "sample_shift", "memory-limit": "memory_limit",
		"offload": "offload_model", "colour": "", "xyz": "", "a": "", "": "",
	} {
		if got := suggestFlag(fs, strings.TrimLeft(name, "-")); got != want {
			t.Errorf("--%s: did you mean %q, want %q", name, got, want)
		}
	}
	small := flag.NewFlagSet("quantize", flag.ContinueOnError)
	small.String("ckpt_dir", "", "")
	if got := suggestFlag(small, "seed"); got != "" {
		t.Errorf("a command without a seed suggests %q", got)
	}
}

// TestJSONError ends JSON lines with what went wrong.
func TestJSONError(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		name string
		args []string
		code int
		want failure
	}{
		{"a setting", []string{"demo", "--json", "--frame_num", "8"}, exitUsage, failure{Error: "--frame_num", Settings: []string{"frame_num"}}},
		{"a flag", []string{"generate", "--colour", "red", "--json"}, exitUsage, failure{Error: "--colour"}},
		{"a blank prompt", []string{"demo", "--json", "--prompt", "\u200b\ufeff"}, exitUsage, failure{Error: "--prompt", Settings: []string{"prompt"}}},
		{"a file", []string{"generate", "--json=true", "--ckpt_dir", filepath.Join(dir, "none"), "--image", "i.png", "--prompt", "x", "--save_file", filepath.Join(dir, "v.mp4")}, exitFailed, failure{Error: "none"}},
		{"a plan", []string{"plan", "--json", "--ckpt_dir", filepath.Join(dir, "none")}, exitFailed, failure{Error: "none"}},
		{"a checkpoint to quantise", []string{"quantize", "--json", "--quant", "nf4", "--ckpt_dir", filepath.Join(dir, "none")}, exitFailed, failure{Error: "none"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, errs, code := gimbal(t, c.args...)
			lines := events(t, out)
			if code != c.code || len(lines) == 0 {
				t.Fatalf("exit code %d\n%s%s", code, out, errs)
			}
			last := lines[len(lines)-1]
			var got failure
			if err := json.Unmarshal(last.Data, &got); err != nil || last.Event != "error" {
				t.Fatalf("the last event is %s %s, %v", last.Event, last.Data, err)
			}
			if got.ExitCode != code || !strings.Contains(got.Error, c.want.Error) || !strings.Contains(errs, got.Error) || strings.Join(got.Settings, " ") != strings.Join(c.want.Settings, " ") {
				t.Errorf("%+v, want %+v; standard error says\n%s", got, c.want, errs)
			}
		})
	}
}

// TestWrittenPaths takes paths as people write them, and says how a guidance was taken.
func TestWrittenPaths(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_CACHE_HOME", home)
	picture, err := os.ReadFile(filepath.Join(golden.Dir(t), "image.png"))
	if err == nil {
		err = os.WriteFile(filepath.Join(home, "a picture.png"), picture, 0o644)
	}
	if err == nil {
		err = os.Symlink(golden.Checkpoint(t), filepath.Join(home, "model"))
	}
	if err != nil {
		t.Fatal(err)
	}
	out, errs, code := gimbal(t, "generate", "--ckpt_dir=~/model", "--image", "file://"+home+"/a%20picture.png", "--prompt", "a walk", "--save_file=~/a video.mp4",
		"--frame_num", "5", "--sample_steps", "1", "--max_area", "1536", "--sample_guide_scale", "3,5")
	if code != 0 || !strings.Contains(out, filepath.Join(home, "a video.mp4")) {
		t.Fatalf("exit code %d\n%s%s", code, out, errs)
	}
	for _, word := range []string{"guidance 3 for the low-noise expert and 5 for the high-noise expert", "3.5"} {
		if !strings.Contains(errs, word) {
			t.Errorf("the notes do not say %q:\n%s", word, errs)
		}
	}
	for path, want := range map[string]string{
		"~/a video.mp4": "a video that Gimbal made of 48x16 pixels, 0.31 s, 5 frames", "~/a video.png": "contact sheet", "~/a video.json": `"a walk"`,
		"file://" + home + "/a%20picture.png": "--image takes it", "~/model": "whole",
	} {
		if out, errs, code := gimbal(t, "inspect", path); code != 0 || !strings.Contains(out, want) {
			t.Errorf("inspect %s: exit code %d, want %q\n%s%s", path, code, want, out, errs)
		}
	}
}

// TestFinishedLatent says of a run whose steps are all done that they are.
func TestFinishedLatent(t *testing.T) {
	for first, want := range map[int]string{1: "steps 1 to 6", 6: "steps 6 to 6", 7: "all 6 steps are done"} {
		var errs bytes.Buffer
		newReporter(false, io.Discard, &errs).event(inference.Prepared{FirstStep: first, Steps: 6})
		if !strings.Contains(errs.String(), want+";") {
			t.Errorf("from step %d on: %s, want %q", first, errs.String(), want)
		}
	}
}
