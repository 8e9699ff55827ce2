//go:build !darwin && !cuda

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// tiny are the sizes of the tests.
var tiny = []string{
	"-dim", "64", "-ffn", "160", "-model_heads", "2", "-vae", "4", "-text", "48", "-layers", "3", "-height", "32", "-width", "48",
	"-words", "7", "-rows", "40", "-heads", "2", "-tokens", "70", "-checkpoint", "../../inference/testdata/golden/checkpoint-tiny",
}

// run runs stages over the software driver and returns their rows.
func run(t *testing.T, work string, args ...string) []Row {
	t.Helper()
	if err := start(t.Context(), append(append([]string{"-work", work}, tiny...), args...)); err != nil {
		t.Fatal(err)
	}
	return read(t, work)
}

func read(t *testing.T, work string) (rows []Row) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(work, "rows.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		var r Row
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, r)
	}
	return rows
}

func TestStages(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	for _, c := range []struct {
		stage string
		args  []string
		rows  int // 0: as many as there are variants
		check func(r Row) bool
	}{
		{"expert", []string{"-frames", "5,9"}, 8, func(r Row) bool { return len(r.Sizes) == 3 && r.Peak > 0 && r.Planned > 0 }},
		{"chunk", []string{"-forms", "f32:f32"}, 2, func(r Row) bool {
			return r.Peak == r.Planned && r.Values["clean_seconds"] > 0 && r.Values["linear_tflop"] > 0 && r.Values["attention_tflop"] > 0
		}},
		{"reuse", []string{"-forms", "f32:f32"}, 4, func(r Row) bool { return *r.Error < 1e-5 && r.Values["saved_tflop"] > 0 }},
		{"pipeline", []string{"-forms", "bf16:f32"}, 2, func(r Row) bool { return *r.Error < 1e-5 && r.Values["high_noise_model_seconds"] > 0 }},
		{"vae", []string{"-chunks", "1,2,0", "-frames", "9", "-runs", "1"}, 3, func(r Row) bool { return r.Values["same_bits"] == 1 }},
		{"leak", []string{"-repeats", "3"}, 1, func(r Row) bool { return r.Values["left_bytes"] == 0 }},
		{"speed", []string{"-dim", "256", "-ffn", "256", "-forms", "int8:bf16,q4_k:bf16"}, 4, func(r Row) bool { return r.Seconds > 0 }},
		{"variants", []string{"-forms", "bf16:bf16"}, 0, func(r Row) bool { return r.Seconds > 0 && r.TFLOPS > 0 }},
	} {
		t.Run(c.stage, func(t *testing.T) {
			rows := run(t, t.TempDir(), append(c.args, c.stage)...)
			if c.rows > 0 && len(rows) != c.rows || len(rows) == 0 {
				t.Errorf("%d rows, want %d", len(rows), c.rows)
			}
			for _, r := range rows {
				if r.Stage != c.stage || !c.check(r) {
					t.Errorf("%+v", r)
				}
			}
		})
	}
}

// TestTorch has PyTorch compute the same, where there is a Python with it, and the
// report made of everything.
func TestTorch(t *testing.T) {
	python := os.Getenv("GIMBAL_PYTHON")
	if python == "" {
		t.Skip("name a Python with PyTorch, safetensors and matplotlib in GIMBAL_PYTHON")
	}
	work := t.TempDir()
	run(t, work, "-frames", "5,9", "-chunks", "1", "block", "chunk", "attention", "vae")
	run(t, work, "-forms", "f32:f32", "speed")
	script := func(args ...string) {
		if text, err := exec.CommandContext(t.Context(), python, args...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
	}
	script("torch/proof.py", "--work", work, "--device", "cpu", "block", "chunk", "attention", "vae", "speed")
	compared := 0
	for _, r := range read(t, work) {
		if r.Who == "torch" && r.Error != nil {
			compared++
			if !(*r.Error <= r.Bound) {
				t.Errorf("error %g: %+v", *r.Error, r)
			}
		}
	}
	if want := 2*4 + 4 + 2 + 2; compared != want {
		t.Errorf("%d comparisons, want %d", compared, want)
	}
	script("torch/report.py", work, filepath.Join(work, "rows.jsonl"))
	for _, ending := range []string{"md", "json", "png"} {
		if info, err := os.Stat(filepath.Join(work, "gpu-proof."+ending)); err != nil || info.Size() == 0 {
			t.Errorf("gpu-proof.%s: %v", ending, err)
		}
	}
}
