package studio

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"gimbal/inference"
	"gimbal/inference/engine"
	"gimbal/inference/engine/enginetest"
)

// recipeOf is that of a variant.
func recipeOf(t *testing.T, name string) inference.Recipe {
	t.Helper()
	v, ok := engine.FindVariant(name)
	if !ok {
		t.Fatal(name)
	}
	return v.Recipe
}

// folders makes folders in the bench's.
func (b *bench) folders(names ...string) (paths []string) {
	for _, name := range names {
		path := filepath.Join(b.dir, name)
		must(b.t, os.MkdirAll(path, 0o755))
		paths = append(paths, path)
	}
	return paths
}

// TestModeOfAFolder chooses between the two models of a folder, as base-cam with the fast one
// in it is.
func TestModeOfAFolder(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		both := b.folders("both")[0]
		b.set(enginetest.Settings{Model: func(r engine.Request) (engine.Model, bool, error) {
			m := engine.Model{Dir: both, Whole: true, HasCamera: true, Modes: []string{"", inference.CausalFast}, Recipe: inference.DefaultRecipe()}
			if r.Job.Causal.Mode == inference.CausalFast {
				m.Recipe = recipeOf(t, "fast-cam")
			}
			return m, r.Checkpoint == both, nil
		}})
		b.SetModelFolder(both)
		b.await("the experts", func(s Snapshot) bool { return s.Form.Inputs.Job.Recipe == inference.DefaultRecipe() })
		b.Edit("sample_shift", "7") // of the experts, and nothing to the fast model
		b.Edit(FieldMode, inference.CausalFast)
		s := b.await("the fast model", func(s Snapshot) bool { return s.Form.Inputs.Job.Recipe == recipeOf(t, "fast-cam") })
		if s.Form.Frames != 81 || s.Presets[0].Values.Frames != 9 || s.Presets[1].Values.Frames != 33 || s.Presets[1].Values.Steps != 4 {
			t.Errorf("%d frames, presets of %d and %d frames and %d steps", s.Form.Frames, s.Presets[0].Values.Frames, s.Presets[1].Values.Frames, s.Presets[1].Values.Steps)
		}
		b.Edit(FieldMode, "auto")
		b.await("the experts again", func(s Snapshot) bool { return s.Form.Inputs.Job.Recipe == inference.DefaultRecipe() })
	})
}

// TestChunksOfAVideo cuts a video to whole chunks, and wants at least one.
func TestChunksOfAVideo(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		v2 := b.folders("v2")[0]
		b.set(enginetest.Settings{Recipes: map[string]inference.Recipe{v2: recipeOf(t, "v2-1.3b-fast")}})
		b.SetModelFolder(v2)
		b.await("its recipe", func(s Snapshot) bool { return s.Form.Inputs.Job.Causal.Chunk == 4 })
		p := b.problem(FieldFrames, ChunkCut)
		if p.Level != Info || p.Args["Frames"] != 77 || b.Snapshot().Form.Frames != 77 {
			t.Errorf("%+v, %d frames", p, b.Snapshot().Form.Frames)
		}
		b.Edit(FieldFrames, "9")
		if p := b.problem(FieldFrames, ChunkShort); p.Level != Error || p.Args["Least"] != 13 {
			t.Errorf("%+v", p)
		}
		b.Edit(FieldChunk, "3")
		b.await("three chunks' frames", func(s Snapshot) bool { return s.Form.Frames == 9 && s.Form.Inputs.Job.Frames == 9 })
		b.Edit("sink_size", "2")
		b.Edit("local_attn_size", "4")
		b.problem(FieldWindow, WindowShort)
	})
}

// TestAssetsOfAnotherFolder uses a model folder that has no text encoder and no VAE with those
// of the folder that was used before it.
func TestAssetsOfAnotherFolder(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		paths := b.folders("base", "small")
		base, small := paths[0], paths[1]
		assets := func(dir string) []engine.Part {
			return []engine.Part{{Name: "text encoder", Path: filepath.Join(dir, "t5.pth")}, {Name: "VAE", Path: filepath.Join(dir, "vae.pth")}}
		}
		b.set(enginetest.Settings{Model: func(r engine.Request) (engine.Model, bool, error) {
			m := engine.Model{Dir: r.Checkpoint, HasCamera: true, Recipe: inference.DefaultRecipe()}
			switch {
			case r.Checkpoint == base, r.Checkpoint == small && r.Job.Assets == base:
				m.Parts, m.Whole = assets(base), true
				return m, true, nil
			case r.Checkpoint == small:
				err := errors.New("there is none")
				m.Parts = []engine.Part{{Name: "causal_model", Path: small}, {Name: "text encoder", Err: err}, {Name: "VAE", Err: err}}
				return m, true, err
			}
			return m, false, nil
		}})
		b.SetModelFolder(small)
		if b.problem(FieldModel, ModelNoAssets); !b.Snapshot().Model.LacksAssets {
			t.Error("that text encoder and VAE are all it lacks is not said")
		}
		b.SetAssetsFolder(base)
		b.await("a whole model", func(s Snapshot) bool { return s.Model.Whole && s.Model.Assets == base })
		b.SetModelFolder(base)
		b.await("the other model", func(s Snapshot) bool { return s.Model.Whole && s.Model.Assets == "" && s.Settings.AssetsFolder == "" })
		b.SetModelFolder(small)
		b.await("the guess", func(s Snapshot) bool { return s.Model.Whole && s.Settings.AssetsFolder == base })
		b.generate()
		b.await("the run", func(s Snapshot) bool { return s.Busy() })
		if r := b.engine.Requests(); len(r) == 0 || !slices.ContainsFunc(r, func(r engine.Request) bool { return r.Job.Assets == base }) {
			t.Errorf("the run is of %+v", r)
		}
	})
}
