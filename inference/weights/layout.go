package weights

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// The experts' folders in a checkpoint.
const (
	HighNoise = "high_noise_model"
	LowNoise  = "low_noise_model"
)

// Layout is an open checkpoint folder: one or two experts, a text encoder with
// its tokenizer, and a VAE.
type Layout struct {
	Dir          string
	Experts      map[string]Expert // by folder, HighNoise and LowNoise; at least one
	Text         *Store            // models_t5_*.pth
	TokenizerDir string            // google/umt5-xxl, or tokenizer
	VAE          *Store            // Wan2.1_VAE.pth
	VAEConfig    *VAEConfig        // vae_config.json; nil if there is none
	Recipe       json.RawMessage   // recipe.json; nil if there is none

	parts []Part
}

// Expert is a diffusion transformer for one range of noise.
type Expert struct {
	Store  *Store
	Config WanConfig
}

// Part is what Inspect found of one part of a checkpoint.
type Part struct {
	Name    string         // such as "high_noise_model" or "VAE"
	Path    string         // file or folder; empty if there is none
	Bytes   int64          // of its weights, or of the tokenizer's file
	Tensors int            // number of tensors
	DTypes  map[string]int // tensors of each data type
	Unused  []string       // names of the tensors that the model does not use
	Config  *WanConfig     // of an expert
	Err     error          // what is wrong with it
}

// OpenLayout opens all parts of the checkpoint in folder dir. One of the experts
// may be missing, or be there as quantised weights only, in a folder such as
// high_noise_model_bnb_nf4 (bitsandbytes' layout). The text encoder and the VAE may
// have other names than the original's, if only one *t5* and one *vae* .pth or
// .safetensors file is there. The error joins everything that is wrong.
func OpenLayout(dir string) (*Layout, error) {
	l, err := openParts(dir)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, p := range l.parts {
		errs = append(errs, p.Err)
	}
	if err := errors.Join(errs...); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// Inspect says what the checkpoint in folder dir holds, part by part, and what is
// wrong with each. It fails only if dir cannot be read.
func Inspect(dir string) ([]Part, error) {
	l, err := openParts(dir)
	if err != nil {
		return nil, err
	}
	return l.parts, l.Close()
}

// Close closes all parts.
func (l *Layout) Close() error {
	var errs []error
	for _, e := range l.Experts {
		errs = append(errs, e.Store.Close())
	}
	for _, s := range []*Store{l.Text, l.VAE} {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(errs...)
}

// openParts opens what it can and notes the rest in the parts.
func openParts(dir string) (*Layout, error) {
	listing, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("weights: %w", err)
	}
	var names []string
	for _, f := range listing {
		names = append(names, f.Name())
	}
	l := &Layout{Dir: dir, Experts: make(map[string]Expert)}
	for _, name := range []string{HighNoise, LowNoise} {
		l.parts = append(l.parts, l.openExpert(name))
	}
	if l.parts[0].Path == "" && l.parts[1].Path == "" {
		l.parts[0].Err = &Error{dir, "experts", "none", fmt.Sprintf("a folder %s or %s", HighNoise, LowNoise)}
	}
	var text, vae Part
	if l.Text, text = l.openFile(names, "text encoder", "models_t5_umt5-xxl-enc-bf16.pth", "t5"); l.Text != nil {
		sizes, _ := ReadUMT5Sizes(l.Text)
		text.describe(l.Text, sizes.Table())
	}
	if l.VAE, vae = l.openFile(names, "VAE", "Wan2.1_VAE.pth", "vae"); l.VAE != nil {
		sizes, _ := ReadVAESizes(l.VAE)
		vae.describe(l.VAE, sizes.Table())
	}
	if l.VAEConfig, err = readVAEConfig(filepath.Join(dir, "vae_config.json")); err != nil && !errors.Is(err, os.ErrNotExist) {
		vae.Err = errors.Join(vae.Err, err)
	}
	l.parts = append(l.parts, text, l.openTokenizer(), vae)
	if l.Recipe, err = ReadRecipe(dir); err != nil {
		l.parts = append(l.parts, Part{Name: "recipe", Path: filepath.Join(dir, RecipeFile), Err: err})
	}
	return l, nil
}

func (l *Layout) openExpert(name string) Part {
	part := Part{Name: name}
	dir := expertDir(l.Dir, name)
	if dir == "" {
		return part
	}
	part.Path = dir
	config, err := readWanConfig(filepath.Join(dir, ConfigFile))
	if err == nil {
		part.Config = &config
	}
	store, err2 := Open(dir)
	if err2 == nil {
		l.Experts[name] = Expert{store, config}
		sizes, _ := ReadWanSizes(store, config) // whoever loads the expert says what is wrong
		part.describe(store, sizes.Table())
	}
	part.Err = errors.Join(err, err2)
	return part
}

// expertDir returns the folder of an expert in dir, its own or else that of its
// quantised weights; "" if there is none.
func expertDir(dir, name string) string {
	for _, folder := range []string{name, fetchedDir(name, NF4), fetchedDir(name, INT8)} {
		path := filepath.Join(dir, folder)
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			return path
		}
	}
	return ""
}

// openFile opens the file called name, or else the only one with word in its name.
func (l *Layout) openFile(names []string, part, name, word string) (*Store, Part) {
	p := Part{Name: part}
	found := slices.DeleteFunc(slices.Clone(names), func(n string) bool {
		return !strings.Contains(strings.ToLower(n), word) || !slices.ContainsFunc(containers, func(c container) bool { return c.named(n) })
	})
	if slices.Contains(names, name) {
		found = []string{name}
	}
	want := fmt.Sprintf("%s, or one *%s*.pth or *%s*.safetensors", name, word, word)
	switch len(found) {
	case 0:
		p.Err = &Error{l.Dir, part, "no file", want}
		return nil, p
	case 1:
	default:
		p.Err = &Error{l.Dir, part, strings.Join(found, ", "), want}
		return nil, p
	}
	p.Path = filepath.Join(l.Dir, found[0])
	store, err := Open(p.Path)
	p.Err = err
	return store, p
}

func (l *Layout) openTokenizer() Part {
	p := Part{Name: "tokenizer"}
	original := filepath.Join(l.Dir, "google", "umt5-xxl")
	for _, dir := range []string{original, filepath.Join(l.Dir, "tokenizer")} {
		for _, name := range []string{"tokenizer.json", "spiece.model"} {
			info, err := os.Stat(filepath.Join(dir, name))
			if err == nil && info.Mode().IsRegular() {
				l.TokenizerDir, p.Path, p.Bytes = dir, dir, info.Size()
				return p
			}
		}
	}
	p.Err = &Error{original, "tokenizer", "no file", "tokenizer.json or spiece.model"}
	return p
}

func (p *Part) describe(s *Store, model Table) {
	p.Bytes, p.Tensors, p.Unused = s.Bytes(), len(s.names), model.Unused(s)
	p.DTypes = make(map[string]int)
	for _, e := range s.tensors {
		p.DTypes[e.stored]++
	}
}
