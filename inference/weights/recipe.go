package weights

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
)

// RecipeFile is the optional file in a checkpoint's folder that says how the model is
// meant to be sampled. It suggests settings and is no part of the model: a run goes on
// after it has changed.
const RecipeFile = "recipe.json"

// readRecipe reads a recipe: an object of settings by the names of the reference's flags,
// all of them optional. It returns nil if there is no file. Values of the right type that
// a setting cannot have are found by whoever uses them.
func readRecipe(path string) (json.RawMessage, error) {
	values, err := readObject(path, maxConfig)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	const falling = "numbers that fall, the first at most 1000, the last above 0"
	var timesteps []float64
	var errs []error
	for _, key := range []struct {
		name, want string
		to         any
	}{
		{"sample_steps", "a whole number", new(int)},
		{"frame_num", "a whole number", new(int)},
		{"max_area", "a whole number", new(int)},
		{"sample_shift", "a number", new(float64)},
		{"boundary", "a number", new(float64)},
		{"sample_solver", "a solver's name", new(string)},
		{"sample_guide_scale", `{"low": number, "high": number}`, new(struct{ Low, High float64 })},
		{"timesteps", falling, &timesteps},
	} {
		if values.values[key.name] != nil {
			errs = append(errs, values.read(key.name, key.to, key.want))
		}
	}
	fall := timesteps == nil || len(timesteps) > 0
	for i, t := range timesteps {
		fall = fall && t > 0 && t <= 1000 && (i == 0 || t < timesteps[i-1])
	}
	if !fall {
		errs = append(errs, &Error{path, "timesteps", fmt.Sprint(timesteps), falling})
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return json.Marshal(values.values)
}
