package weights

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Causal is the name of a causal model's only transformer, whose folder has one of
// several names.
const Causal = "causal_model"

// The transformers of a checkpoint that Checkpoint.Model chooses between.
const (
	CausalFast     = "causal_fast"     // few steps for a chunk, no guidance
	CausalPretrain = "causal_pretrain" // many steps, with guidance
)

// The folders of causal models.
const (
	FastFolder     = "lingbot_world_fast"
	V2Folder       = "transformers"
	PretrainFolder = "transformer_causal"
)

// causalFolders are where a causal model is looked for before the checkpoint's own folder,
// the first place first.
func causalFolders(model string) []string {
	if model == CausalPretrain {
		return []string{PretrainFolder, V2Folder, FastFolder}
	}
	return []string{FastFolder, V2Folder, PretrainFolder}
}

// rootModels are the names of a model's files in the checkpoint's own folder, in the order
// of the reference.
var rootModels = []string{
	"model.safetensors.index.json", "diffusion_pytorch_model.safetensors.index.json",
	"model.safetensors", singleFile,
}

// FindCausal returns the folder of the causal model in c, and what of it is to be opened: a
// folder or a file; "" if there is none.
func (c Checkpoint) FindCausal() (dir, open string) {
	f, err := readFolder(c.Dir)
	if err != nil {
		return "", ""
	}
	for _, name := range causalFolders(c.Model) {
		if path := f.find(name); path != "" {
			return path, path
		}
	}
	for _, name := range rootModels {
		if path := f.find(name); path != "" {
			return c.Dir, path
		}
	}
	return "", ""
}

// HasExperts reports whether c's folder holds an expert, quantised or not.
func (c Checkpoint) HasExperts() bool {
	f, err := readFolder(c.Dir)
	return err == nil && (f.expert(HighNoise) != "" || f.expert(LowNoise) != "")
}

// openModel opens the model in a folder, or one of its files or indexes.
func openModel(path string) (*Store, error) {
	if !strings.HasSuffix(strings.ToLower(path), indexSuffix) {
		return Open(path)
	}
	f, err := readFolder(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	return openIndex(f, filepath.Base(path), KindExpert)
}

// openCausal opens the causal model and describes it; a part without a path if there is none.
func (l *Layout) openCausal(c Checkpoint) (Expert, Part) {
	dir, path := c.FindCausal()
	part := Part{Name: Causal, Path: dir}
	if dir == "" {
		return Expert{}, part
	}
	store, err := openModel(path)
	if err != nil {
		part.Err = err
		return Expert{}, part
	}
	config, err := configOf(dir, store)
	part.Config, part.Err = &config, err
	sizes, _ := ReadWanSizes(store, config) // whoever loads the model says what is wrong
	part.describe(store, sizes.Table())
	return Expert{store, config}, part
}

// configOf reads the config.json in a model's folder, or takes the sizes from the shapes of
// its tensors where there is none.
func configOf(dir string, s *Store) (WanConfig, error) {
	if path := findFile(dir, ConfigFile); there(path) {
		return readWanConfig(path)
	}
	return ShapeConfig(s)
}

// CausalDim returns the width of the causal model in c, and whether its config.json says so:
// where there is none, the shapes of its tensors do. It is 0 if neither does.
func (c Checkpoint) CausalDim() (dim int, configured bool) {
	folder, path := c.FindCausal()
	if folder == "" {
		return 0, false
	}
	if path := findFile(folder, ConfigFile); there(path) {
		config, _ := readWanConfig(path) // whoever opens the model says what is wrong
		return config.Dim, true
	}
	store, err := openModel(path)
	if err != nil {
		return 0, false
	}
	defer store.Close()
	config, _ := ShapeConfig(store)
	return config.Dim, false
}

func there(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// What the shapes of a model's tensors do not say, of all LingBot-World models.
const (
	headDim = 128 // channels of a head
	textLen = 512
	normEps = 1e-6
)

// ShapeConfig returns the sizes of a transformer by the shapes of its tensors, as a
// checkpoint without config.json has them: its heads have 128 channels. The error names what
// is missing or does not go together.
func ShapeConfig(s *Store) (WanConfig, error) {
	c := WanConfig{
		Dim: s.size(patchWeight, 0), InDim: s.size(patchWeight, 1), FFNDim: s.size("blocks.0.ffn.0.weight", 0),
		FreqDim: s.size("time_embedding.0.weight", 1), OutDim: s.size("head.head.weight", 0), TextLen: textLen, Eps: normEps,
	}
	var err error
	if c.NumLayers, err = s.blocks(); err != nil {
		return c, err
	}
	shape := s.format(patchWeight).shape(s, patchWeight)
	if len(shape) != 5 || slices.Contains(shape, 0) || c.OutDim%(shape[2]*shape[3]*shape[4]) != 0 {
		return c, &Error{s.path, "config.json", "none, and the shape " + fmt.Sprint(shape) + " of " + patchWeight, "the sizes of the transformer, or its whole weights"}
	}
	c.OutDim /= shape[2] * shape[3] * shape[4]
	c.NumHeads = c.Dim / headDim
	if c.Dim%headDim != 0 || min(c.Dim, c.FFNDim, c.FreqDim, c.NumLayers, c.OutDim) < 1 {
		return c, &Error{s.path, "config.json", fmt.Sprintf("none, and weights of %d channels", c.Dim), fmt.Sprintf("a config.json, or whole weights with heads of %d channels", headDim)}
	}
	return c, nil
}
