package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"

	"gimbal/inference"
	"gimbal/inference/weights"
)

// ReadRecipe returns how the checkpoint in a folder wants to be sampled: as the reference
// does, but for what its recipe says. The error names what is wrong with that. Nothing else
// of the checkpoint is looked at.
func ReadRecipe(dir string) (inference.Recipe, error) {
	text, err := weights.ReadRecipe(dir)
	if err != nil {
		return inference.DefaultRecipe(), err
	}
	return parseRecipe(dir, text)
}

// parseRecipe is ReadRecipe of what was read; nil for no recipe.
func parseRecipe(dir string, text json.RawMessage) (inference.Recipe, error) {
	recipe := inference.DefaultRecipe()
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
