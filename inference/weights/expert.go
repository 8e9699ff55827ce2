package weights

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// OpenExpert opens an expert in a file, of any container and with any names that are known,
// or in a folder. Its config.json lies in the folder, or beside the file, where it may be
// another model's: then, and without one, the sizes are those of the tensors. A file of another
// model gives an Error that says which.
func OpenExpert(path string) (Expert, error) {
	store, err := OpenKind(path, KindExpert)
	if err != nil {
		return Expert{}, err
	}
	if err := checkExpert(store); err != nil {
		store.Close()
		return Expert{}, err
	}
	dir, isFile := path, false
	if info, err := os.Stat(path); err == nil && !info.IsDir() {
		dir, isFile = filepath.Dir(path), true
	}
	config, err := readWanConfig(filepath.Join(dir, ConfigFile))
	if isFile {
		if shapes, wrong := ShapeConfig(store); err != nil || !config.fits(shapes) {
			config, err = shapes, wrong
		}
	}
	if err != nil {
		store.Close()
		return Expert{}, err
	}
	return Expert{store, config}, nil
}

// fits reports whether a model of the sizes that c states has tensors of these.
func (c WanConfig) fits(shapes WanConfig) bool {
	c.NumHeads, c.TextLen, c.Eps = shapes.NumHeads, shapes.TextLen, shapes.Eps
	return c == shapes
}

// readDiffusersConfig reads the config.json of diffusers' transformers.
func readDiffusersConfig(o object) (WanConfig, error) {
	c := WanConfig{TextLen: textLen}
	var headDim int
	var errs []error
	for _, f := range []struct {
		name string
		to   *int
	}{
		{"num_attention_heads", &c.NumHeads}, {"attention_head_dim", &headDim}, {"ffn_dim", &c.FFNDim}, {"freq_dim", &c.FreqDim},
		{"in_channels", &c.InDim}, {"out_channels", &c.OutDim}, {"num_layers", &c.NumLayers},
	} {
		errs = append(errs, o.readSize(f.name, f.to))
	}
	errs = append(errs, o.readEps(&c.Eps))
	if c.Dim = c.NumHeads * headDim; c.Dim > maxSize {
		errs = append(errs, &Error{o.path, "attention_head_dim", fmt.Sprint(headDim), fmt.Sprintf("at most %d channels of all heads", maxSize)})
	}
	return c, errors.Join(errs...)
}
