package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"

	"gimbal/inference"
	"gimbal/inference/weights"
)

// readRecipe returns how the checkpoint wants to be sampled: as the reference does, but
// for what its recipe says. The error names what is wrong with that.
func readRecipe(l *weights.Layout) (inference.Recipe, error) {
	recipe := inference.DefaultRecipe()
	if l.Recipe == nil {
		return recipe, nil
	}
	if err := json.Unmarshal(l.Recipe, &recipe); err != nil {
		return recipe, fmt.Errorf("%s: %w", filepath.Join(l.Dir, weights.RecipeFile), err)
	}
	err := recipe.Validate()
	var errs []error
	for _, wrong := range inference.SettingErrors(err) {
		errs = append(errs, &weights.Error{Path: filepath.Join(l.Dir, weights.RecipeFile), Field: wrong.Setting, Found: wrong.Found, Want: wrong.Want})
	}
	return recipe, errors.Join(errs...)
}
