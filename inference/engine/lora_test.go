package engine_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gimbal/inference"
	"gimbal/inference/engine"
	"gimbal/inference/golden"
)

// loraFile returns a LoRA for the experts of the reference checkpoint of file formats.
func loraFile(t *testing.T, name string) string {
	return filepath.Join(golden.FormatsDir(t), "lora", name+".safetensors")
}

// loraJob is a quick job with LoRAs of several kinds.
func loraJob(t *testing.T) inference.Job {
	job := quick(t)
	job.LoRAs = inference.NewLoRAs(
		inference.LoRA{File: loraFile(t, "distill"), High: 1, Low: 0.9}, // mapped and made, vectors
		inference.LoRA{File: loraFile(t, "lokr"), Low: -0.5},
		inference.LoRA{File: loraFile(t, "kohya"), High: 1, Low: 1, Off: true},
	)
	return job
}

func loraCheckpoint(t *testing.T) string {
	return filepath.Join(golden.FormatsBase(t), "checkpoint-tiny")
}

// TestLoRAs makes a video with LoRAs, after one without and before another one: resumed to the same bits, recorded beside the video.
func TestLoRAs(t *testing.T) {
	p := load(t, loraCheckpoint(t))
	plain := quick(t)
	generate := func(job inference.Job) (video []byte, notices string) {
		_, err := p.Generate(t.Context(), job, "", func(e inference.Event) {
			if n, ok := e.(inference.Notice); ok {
				notices += n.Text
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		return read(t, job.Output), notices
	}
	before, _ := generate(plain)
	job := loraJob(t)
	with, notices := generate(job)
	if bytes.Equal(with, before) {
		t.Error("LoRAs change nothing")
	}
	if !strings.Contains(notices, "of its keys are not of this model") {
		t.Errorf("notices %q", notices)
	}
	sidecar := string(read(t, strings.TrimSuffix(job.Output, ".mp4")+".json"))
	for _, word := range []string{job.LoRAs.List()[0].File, `"high": 1`, `"low": 0.9`, `"fingerprint"`, `"off": true`} {
		if !strings.Contains(sidecar, word) {
			t.Errorf("the sidecar does not say %s:\n%s", word, sidecar)
		}
	}
	if strings.Count(sidecar, "kohya") != 1 {
		t.Error("the sidecar says that a LoRA was used which is off")
	}
	for stop := range job.Steps + 1 {
		job := job
		job.Output = filepath.Join(t.TempDir(), "video.mp4")
		if _, err := p.Resume(t.Context(), interrupt(t, p, job, stop), func(inference.Event) {}); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(read(t, job.Output), with) {
			t.Errorf("stopped after step %d: the resumed video differs", stop)
		}
	}
	plain.Output = filepath.Join(t.TempDir(), "again.mp4")
	if again, _ := generate(plain); !bytes.Equal(again, before) {
		t.Error("a video without LoRAs is another one after one with them")
	}
}

// TestPlannedLoRAs compares the planned buffers of a run with LoRAs with those that it takes.
func TestPlannedLoRAs(t *testing.T) {
	dev := openDevice(t)
	p, err := engine.Load(t.Context(), dev, loraCheckpoint(t), inference.QuantNone, func(inference.Event) {})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	job := loraJob(t)
	comparePlanned(t, dev, p, job)
}

func TestLoRAsRefused(t *testing.T) {
	p := load(t, loraCheckpoint(t))
	text := filepath.Join(t.TempDir(), "a.safetensors")
	if err := os.WriteFile(text, []byte("no tensors"), 0o644); err != nil {
		t.Fatal(err)
	}
	whole, err := filepath.Glob(filepath.Join(loraCheckpoint(t), "*_noise_model", "*.safetensors"))
	if err != nil || len(whole) == 0 {
		t.Fatal(whole, err)
	}
	for want, file := range map[string]string{
		"no such file":  filepath.Join(t.TempDir(), "nowhere.safetensors"),
		"a.safetensors": text,
		"another model": loraFile(t, "expert"), // for other sizes
		"whole model":   whole[0],
	} {
		job := quick(t)
		job.LoRAs = inference.NewLoRAs(inference.NewLoRA(file))
		_, err := p.Generate(t.Context(), job, "", func(inference.Event) {})
		if wrong := inference.SettingErrors(err); len(wrong) != 1 || wrong[0].Setting != "lora" || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), filepath.Base(file)) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	// A file that changes in the middle of a run.
	job := quick(t)
	file := filepath.Join(t.TempDir(), "style.safetensors")
	if err := os.WriteFile(file, read(t, loraFile(t, "peft")), 0o644); err != nil {
		t.Fatal(err)
	}
	job.LoRAs = inference.NewLoRAs(inference.NewLoRA(file))
	run := interrupt(t, p, job, 2)
	if err := os.WriteFile(file, read(t, loraFile(t, "fun")), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = p.Resume(t.Context(), run, func(inference.Event) {})
	if wrong := inference.SettingErrors(err); len(wrong) != 1 || wrong[0].Setting != "lora" {
		t.Errorf("resumed with another file: %v", err)
	}
}
