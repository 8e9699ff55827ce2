package weights

import (
	"encoding/json"
	"errors"
	"io/fs"
)

// RecipeFile is the optional file in a checkpoint's folder that says how the model is
// meant to be sampled. It suggests settings and is no part of the model: a run goes on
// after it has changed.
const RecipeFile = "recipe.json"

// readRecipe reads a recipe, an object as inference.Recipe has it; nil if there is none.
// What is in it is found by whoever uses it.
func readRecipe(path string) (json.RawMessage, error) {
	values, err := readObject(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return json.Marshal(values.values)
}
