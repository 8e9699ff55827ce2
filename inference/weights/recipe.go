package weights

import (
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"slices"
	"strings"
)

// RecipeFile is the optional file in a checkpoint's folder that says how the model is
// meant to be sampled. It suggests settings and is no part of the model: a run goes on
// after it has changed.
const RecipeFile = "recipe.json"

// recipeKeys are what a recipe may say, by the names of the reference's flags, as
// inference.Recipe has them.
var recipeKeys = map[string]struct {
	want string
	to   func() any
}{
	"sample_steps":       {"a whole number", func() any { return new(int) }},
	"high_steps":         {"a whole number", func() any { return new(int) }},
	"frame_num":          {"a whole number", func() any { return new(int) }},
	"max_area":           {"a whole number", func() any { return new(int) }},
	"sample_shift":       {"a number", func() any { return new(float64) }},
	"boundary":           {"a number", func() any { return new(float64) }},
	"sample_solver":      {"a solver's name", func() any { return new(string) }},
	"infer_mode":         {"the mode of a causal model", func() any { return new(string) }},
	"chunk_size":         {"a whole number", func() any { return new(int) }},
	"timesteps_index":    {"whole numbers in a text, such as \"0,250,500,750\"", func() any { return new(string) }},
	"local_attn_size":    {"a whole number", func() any { return new(int) }},
	"sink_size":          {"a whole number", func() any { return new(int) }},
	"max_attention_size": {"a whole number", func() any { return new(int) }},
	"sample_guide_scale": {`{"low": number, "high": number}`, func() any { return new(struct{ Low, High float64 }) }},
}

// ReadRecipe reads the recipe in a checkpoint's folder; nil if there is none. Values of the
// right type that a setting cannot have are found by whoever uses them.
func ReadRecipe(dir string) (json.RawMessage, error) {
	dir, err := Find(dir)
	if errors.Is(err, fs.ErrNotExist) { // as whoever opens the checkpoint says
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	path := findFile(dir, RecipeFile)
	values, err := readObject(path, maxConfig)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(values.values)) {
		key, known := recipeKeys[name]
		if !known {
			errs = append(errs, &Error{path, name, "a setting of this name", "one of " + strings.Join(slices.Sorted(maps.Keys(recipeKeys)), ", ")})
			continue
		}
		errs = append(errs, values.read(name, key.to(), key.want))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return json.Marshal(values.values)
}
