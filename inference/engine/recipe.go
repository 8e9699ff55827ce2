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
// variant, but for what its recipe says. The error names what is wrong with that. No weights
// are looked at.
func RecipeOf(c weights.Checkpoint) (inference.Recipe, error) {
	if dir, err := weights.Find(c.Dir); err == nil {
		c.Dir = dir
	}
	v := VariantOf(c, false)
	dir := c.RecipeDir()
	text, err := weights.ReadRecipe(dir)
	if err != nil {
		return v.Recipe, err
	}
	return parseRecipe(dir, v.Recipe, text)
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
