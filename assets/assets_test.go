package assets

import (
	"encoding/json"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"gimbal/inference"
)

func TestUnpackDemo(t *testing.T) {
	dir := t.TempDir()
	var wg sync.WaitGroup
	for range 3 { // programs that start at once
		wg.Go(func() {
			if _, err := UnpackDemo(dir); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	d, err := UnpackDemo(dir)
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Dir(d.Checkpoint)
	if !whole(root) {
		t.Fatal("the demo model is not whole")
	}
	if d.Settings.Prompt == "" || d.Settings.NegativePrompt == "" {
		t.Errorf("settings %+v", d.Settings)
	}
	weights := filepath.Join(d.Checkpoint, "Wan2.1_VAE.pth")
	for name, damage := range map[string]func() error{
		"truncated": func() error { return os.Truncate(weights, 100) },
		"deleted":   func() error { return os.RemoveAll(d.Pictures) },
	} {
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		if whole(root) {
			t.Errorf("%s: it passes for whole", name)
		}
		if _, err := UnpackDemo(dir); err != nil || !whole(root) {
			t.Errorf("%s: not mended: %v", name, err)
		}
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("left %v, %v", left, err)
	}
}

// TestRecipe holds the demo's recipe to what the model was trained for, which demo.json says.
func TestRecipe(t *testing.T) {
	var trained struct {
		Frames     int     `json:"frames"`
		MaxArea    int     `json:"max_area"`
		Steps      int     `json:"steps"`
		Solver     string  `json:"solver"`
		Shift      float64 `json:"shift"`
		GuideScale float64 `json:"guide_scale"`
		Boundary   float64 `json:"boundary"`
	}
	var recipe inference.Recipe
	for name, v := range map[string]any{"demo.json": &trained, "recipe.json": &recipe} {
		text, err := files.ReadFile("demo/" + name)
		if err == nil {
			err = json.Unmarshal(text, v)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	want := inference.Recipe{
		Frames: trained.Frames, MaxArea: trained.MaxArea, Steps: trained.Steps, Solver: trained.Solver, Shift: trained.Shift,
		Guidance: inference.Guidance{Low: trained.GuideScale, High: trained.GuideScale}, Boundary: trained.Boundary,
	}
	if recipe != want {
		t.Errorf("recipe %+v, want %+v", recipe, want)
	}
}
