package weights

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// RecipeFile is the optional file in a checkpoint's folder that says how the model is
// meant to be sampled. It suggests settings and is no part of the model: a run goes on
// after it has changed.
const RecipeFile = "recipe.json"

// CalibrationFile is the name of the file that says what caches go by for the checkpoint of a
// fingerprint, in its folder, which may hold others too.
func CalibrationFile(fingerprint string) string {
	return fmt.Sprintf("%s%.16s.json", calibrationPrefix, fingerprint)
}

const calibrationPrefix = "gimbal-calibration-"

// IsCalibration reports whether a file in a checkpoint's folder is called like one of these.
func IsCalibration(name string) bool {
	return strings.HasPrefix(strings.ToLower(name), calibrationPrefix)
}

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
	"words_guide_scale":  {"a number", func() any { return new(float64) }},
	"sample_guide_scale": {`{"low": number, "high": number}`, func() any { return new(struct{ Low, High float64 }) }},
}

// RecipeDir returns where c's recipe is: the folder of its causal model, where one is chosen
// that has a recipe of its own, or else Dir.
func (c Checkpoint) RecipeDir() string {
	if dir, _ := c.FindCausal(); dir != "" && (c.Model != "" || !c.HasExperts()) {
		if f, err := readFolder(dir); err == nil && f.find(RecipeFile) != "" {
			return dir
		}
	}
	return c.Dir
}

// ReadRecipe reads the recipe in a checkpoint's folder; nil if there is none. Values of the
// right type that a setting cannot have are found by whoever uses them.
// In its place diffusers' files may say boundary and shift. dir may be a file in the folder.
func ReadRecipe(dir string) (_ json.RawMessage, err error) {
	if IsModelFile(dir) {
		dir = rootOf(dir) // which may hold other checkpoints, too
	} else if dir, err = Find(dir); errors.Is(err, fs.ErrNotExist) { // as whoever opens the checkpoint says
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	path := findFile(dir, RecipeFile)
	values, err := readObject(path, maxConfig)
	if errors.Is(err, fs.ErrNotExist) {
		return readDiffusersRecipe(dir)
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

// readDiffusersRecipe reads what the files of a diffusers pipeline say of how it is sampled;
// nil if there are none.
func readDiffusersRecipe(dir string) (json.RawMessage, error) {
	recipe := map[string]float64{}
	for _, f := range []struct{ file, key, setting string }{
		{"model_index.json", "boundary_ratio", "boundary"},
		{filepath.Join("scheduler", "scheduler_config.json"), "flow_shift", "sample_shift"},
	} {
		o, err := readObject(filepath.Join(dir, f.file), maxConfig)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if text, ok := o.values[f.key]; !ok || string(text) == "null" {
			continue
		}
		var v float64
		if err := o.read(f.key, &v, "a number"); err != nil {
			return nil, err
		}
		recipe[f.setting] = v
	}
	if len(recipe) == 0 {
		return nil, nil
	}
	return json.Marshal(recipe)
}
