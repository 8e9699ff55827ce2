package engine

import (
	"bytes"
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
	decoder := json.NewDecoder(bytes.NewReader(l.Recipe))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(&recipe)
	if err == nil {
		err = recipe.Validate()
	}
	var errs []error
	for _, wrong := range inference.SettingErrors(err) {
		errs = append(errs, &weights.Error{Path: filepath.Join(l.Dir, weights.RecipeFile), Field: wrong.Setting, Found: wrong.Found, Want: wrong.Want})
	}
	if err != nil && errs == nil {
		errs = append(errs, fmt.Errorf("%s: %w", filepath.Join(l.Dir, weights.RecipeFile), err))
	}
	return recipe, errors.Join(errs...)
}
