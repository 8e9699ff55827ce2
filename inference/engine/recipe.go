package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"

	"gimbal/inference"
	"gimbal/inference/weights"
)

// ReadRecipe is RecipeOf the checkpoint in a folder.
func ReadRecipe(dir string) (inference.Recipe, error) {
	return RecipeOf(weights.Checkpoint{Dir: dir})
}

// RecipeOf returns how a checkpoint wants to be sampled: as the reference samples its
// variant, or as models are that are distilled to a few steps where the names of its files say
// that it is, but for what its recipe says. The error names what is wrong with that. No weights
// are read.
func RecipeOf(c weights.Checkpoint) (inference.Recipe, error) {
	if dir, err := weights.Find(c.Dir); err == nil {
		c.Dir = dir
	}
	v := VariantOf(c, false)
	if v.Dims == weights.LingBotWorld && c.IsPlain() {
		v, _ = FindVariant(plainName)
	}
	v.Recipe = distilled(c, v.Recipe)
	dir := c.RecipeDir()
	text, err := weights.ReadRecipe(dir)
	if err != nil {
		return v.Recipe, err
	}
	return parseRecipe(dir, v.Recipe, text)
}

func distilled(c weights.Checkpoint, r inference.Recipe) inference.Recipe {
	r, _ = Distilled(c, r)
	return r
}

// Distilled returns a recipe as a checkpoint wants it whose experts are distilled to a few steps
// by the names of their files, or of its own; file is one of them, "" where none is.
func Distilled(c weights.Checkpoint, r inference.Recipe) (few inference.Recipe, file string) {
	if r.Causal.Mode != "" {
		return r, ""
	}
	high, low := c.ExpertPaths()
	steps := map[string]int{}
	for _, path := range []string{high, low} {
		name := filepath.Base(path)
		if name == weights.HighNoise || name == weights.LowNoise { // a folder of the original layout
			name = filepath.Base(c.Dir)
		}
		steps[path] = inference.DistilledSteps(name)
	}
	if low == "" || steps[low] == 0 {
		return r, ""
	}
	return r.FewSteps(steps[low], high == "" || steps[high] > 0), low
}

// parseRecipe is RecipeOf what was read; nil for no recipe.
func parseRecipe(dir string, recipe inference.Recipe, text json.RawMessage) (inference.Recipe, error) {
	if text == nil {
		return recipe, nil
	}
	if err := json.Unmarshal(text, &recipe); err != nil {
		return recipe, fmt.Errorf("%s: %w", filepath.Join(dir, weights.RecipeFile), err)
	}
	err := recipe.Validate()
	var errs []error
	for _, wrong := range inference.SettingErrors(err) {
		errs = append(errs, &weights.Error{Path: filepath.Join(dir, weights.RecipeFile), Field: wrong.Setting, Found: wrong.Found, Want: wrong.Want})
	}
	return recipe, errors.Join(errs...)
}
