package engine_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gimbal/inference"
	"gimbal/inference/device"
	"gimbal/inference/engine"
	"gimbal/inference/golden"
	"gimbal/inference/weights"
)

// inspect returns what an engine says of a checkpoint with a recipe.
func inspect(t *testing.T, recipe string) (engine.Model, error) {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(golden.Checkpoint(t))); err != nil {
		t.Fatal(err)
	}
	if recipe != "" {
		if err := os.WriteFile(filepath.Join(dir, "recipe.json"), []byte(recipe), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	l := engine.NewLocal(engine.Options{Open: func(context.Context) (device.Device, error) { return openDevice(t), nil }})
	return l.Inspect(t.Context(), engine.Request{Checkpoint: dir})
}

// TestRecipe makes sure that a checkpoint's recipe counts, the rest being the reference's,
// and that what is wrong with one is named.
func TestRecipe(t *testing.T) {
	want := inference.DefaultRecipe()
	if m, err := inspect(t, ""); err != nil || m.Recipe != want {
		t.Errorf("without a recipe: %+v, %v", m.Recipe, err)
	}
	want.Steps, want.Shift, want.Guidance = 4, 5, inference.Guidance{Low: 1, High: 1}
	if m, err := inspect(t, `{"sample_steps": 4, "sample_shift": 5, "sample_guide_scale": {"low": 1, "high": 1}}`); err != nil || m.Recipe != want || !m.Whole {
		t.Errorf("%+v, %v, want %+v", m.Recipe, err, want)
	}
	for text, word := range map[string]string{
		`{"sample_steps": 0}`:       "sample_steps",
		`{"sample_steps": "four"}`:  "sample_steps",
		`{"frame_num": 6}`:          "5 and 9",
		`{"sample_solver": "heun"}`: "unipc",
		`{"sampler": "euler"}`:      "sampler",
		`[4]`:                       "recipe.json",
	} {
		if m, err := inspect(t, text); err == nil || !strings.Contains(err.Error(), word) || !strings.Contains(err.Error(), "recipe.json") || m.Whole {
			t.Errorf("%s: %+v, %v", text, m, err)
		}
	}
}

// TestCausalRecipe reads the recipe of a causal model that lies beside experts: its own, or
// else that of the checkpoint.
func TestCausalRecipe(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("low_noise_model/config.json", "{}")
	write("lingbot_world_fast/config.json", "{}")
	write("recipe.json", `{"frame_num":17}`)
	fast := weights.Checkpoint{Dir: dir, Model: inference.CausalFast}
	frames := func(c weights.Checkpoint) int {
		t.Helper()
		r, err := engine.RecipeOf(c)
		if err != nil {
			t.Fatal(err)
		}
		return r.Frames
	}
	if n := frames(fast); n != 17 {
		t.Errorf("without a recipe of its own: %d frames", n)
	}
	write("lingbot_world_fast/recipe.json", `{"frame_num":49}`)
	if n, experts := frames(fast), frames(weights.Checkpoint{Dir: dir}); n != 49 || experts != 17 {
		t.Errorf("%d frames, and %d of the experts", n, experts)
	}
	write("lingbot_world_fast/recipe.json", `{"frame_num":"many"}`)
	if _, err := engine.RecipeOf(fast); err == nil || !strings.Contains(err.Error(), filepath.Join("lingbot_world_fast", "recipe.json")) {
		t.Errorf("a broken recipe: %v", err)
	}
}

// TestDistilledCheckpoint takes the recipe of a checkpoint whose name says that it is distilled.
func TestDistilledCheckpoint(t *testing.T) {
	for name, steps := range map[string]int{"lingbot-4step-distill": 4, "lightning_8steps": 8, "lingbot-world-base-cam": 70, "my model": 70} {
		dir := filepath.Join(t.TempDir(), name)
		if err := os.Symlink(golden.Checkpoint(t), dir); err != nil {
			t.Fatal(err)
		}
		r, err := engine.ReadRecipe(dir)
		if err != nil || r.Steps != steps {
			t.Errorf("%s: %d steps of %s, %v", name, r.Steps, r.Solver, err)
		}
		if steps < 70 && (r.Solver != "euler" || r.Boundary != 0.9 || r.Shift != 5 || r.Guidance != (inference.Guidance{Low: 1, High: 1})) {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// TestPlainRecipe takes Wan2.2's own recipe for experts without a camera branch.
func TestPlainRecipe(t *testing.T) {
	store, err := weights.Open(filepath.Join(golden.Checkpoint(t), weights.LowNoise))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	dir := t.TempDir()
	var sources []weights.Source
	for _, name := range store.Names() {
		if strings.Contains(name, "cam") || strings.HasPrefix(name, "c2ws") {
			continue
		}
		tensor, err := store.Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, tensor.Source())
	}
	low := filepath.Join(dir, "low_noise_model")
	if err := errors.Join(os.MkdirAll(low, 0o755), weights.WriteSafetensors(filepath.Join(low, "diffusion_pytorch_model.safetensors"), sources, nil)); err != nil {
		t.Fatal(err)
	}
	r, err := engine.ReadRecipe(dir)
	if err != nil || r.Steps != 40 || r.Shift != 5 || r.Boundary != 0.9 || r.Guidance != (inference.Guidance{Low: 3.5, High: 3.5}) {
		t.Errorf("%+v, %v", r, err)
	}
}
