package weights

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
)

// RecipeFile is the optional file in a checkpoint's folder that says how the model is
// meant to be sampled. It suggests settings and is no part of the model: a run goes on
// after it has changed.
const RecipeFile = "recipe.json"

// readRecipe reads a recipe: an object of settings by the names of the reference's flags,
// all of them optional, as inference.Recipe has them. It returns nil if there is no file.
// Values of the right type that a setting cannot have are found by whoever uses them.
func readRecipe(path string) (json.RawMessage, error) {
	values, err := readObject(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
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
	} {
		if values.values[key.name] != nil {
			errs = append(errs, values.read(key.name, key.to, key.want))
		}
	}
	errs = append(errs, checkTimesteps(values))
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return json.Marshal(values.values)
}

// checkTimesteps checks the list of timesteps that a recipe may have, of a noise schedule of
// 1000.
func checkTimesteps(values object) error {
	const name, want = "timesteps", "numbers that fall, the first at most 1000, the last above 0"
	if values.values[name] == nil {
		return nil
	}
	var t []float64
	if err := values.read(name, &t, want); err != nil {
		return err
	}
	last := math.Nextafter(1000, 1001)
	for _, x := range t {
		if !(x > 0 && x < last) {
			return &Error{values.path, name, fmt.Sprint(t), want}
		}
		last = x
	}
	if len(t) == 0 {
		return &Error{values.path, name, "none", want}
	}
	return nil
}
