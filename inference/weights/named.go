package weights

import (
	"cmp"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// isOriginal reports whether c is a folder with the original's names, or a causal model's,
// and nothing else was named.
func (c Checkpoint) isOriginal() bool {
	if c.Parts != (Parts{}) || IsModelFile(c.Dir) || exists(findFile(c.Dir, PartsFile)) {
		return false
	}
	causal, _ := c.FindCausal()
	return !exists(c.Dir) || c.HasExperts() || c.Model != "" || causal != "" || !slices.ContainsFunc(units(c.Dir), unit.isExpert)
}

// isPartsFile reports whether a file may be a PartsFile by its name: any JSON file that is not
// called like another one of a model.
func isPartsFile(path string) bool {
	name := strings.ToLower(filepath.Base(path))
	return strings.HasSuffix(name, ".json") && !strings.HasSuffix(name, indexSuffix) && !IsCalibration(name) && !slices.Contains([]string{ConfigFile, RecipeFile, tokenizerFiles[0]}, name)
}

// openNamed opens the parts that c names or that are found in its folder.
func openNamed(c Checkpoint) (*Layout, error) {
	var err error
	if c.Dir, err = Find(c.Dir); err != nil {
		return nil, err
	}
	parts, err := c.find()
	if err != nil {
		return nil, err
	}
	l := &Layout{From: c.Dir, Dir: c.Dir, Experts: make(map[string]Expert), named: true}
	if info, err := os.Stat(c.Dir); c.Dir == "" || err == nil && !info.IsDir() {
		l.Dir = filepath.Dir(cmp.Or(c.Dir, parts.HighNoise, parts.LowNoise))
	}
	for name, path := range map[string]string{HighNoise: parts.HighNoise, LowNoise: parts.LowNoise} {
		l.parts = append(l.parts, l.openNamedExpert(name, path))
	}
	slices.SortFunc(l.parts, func(a, b Part) int { return cmp.Compare(a.Name, b.Name) })
	if parts.HighNoise == "" && parts.LowNoise == "" {
		l.parts[0].Err = &Error{cmp.Or(c.Dir, "the model"), "experts", "none", wants[KindExpert] + ", one for high and one for low noise"}
	}
	var text, vae Part
	if l.Text, text = openNamedPart(KindText, parts.TextEncoder, l.Dir); l.Text != nil {
		sizes, _ := ReadUMT5Sizes(l.Text)
		text.describe(l.Text, sizes.Table())
	}
	if l.VAE, vae = openNamedPart(KindVAE, parts.VAE, l.Dir); l.VAE != nil {
		sizes, _ := ReadVAESizes(l.VAE)
		vae.describe(l.VAE, sizes.Table())
		if l.VAEConfig, err = readVAEConfig(filepath.Join(filepath.Dir(vae.Path), "vae_config.json")); err != nil && !errors.Is(err, os.ErrNotExist) {
			vae.Err = errors.Join(vae.Err, err)
		}
	}
	l.parts = append(l.parts, text, l.chooseTokenizer(c, parts), vae)
	l.RecipeDir = l.Dir
	if l.Recipe, err = ReadRecipe(l.RecipeDir); err != nil {
		l.parts = append(l.parts, Part{Name: "recipe", Path: filepath.Join(l.RecipeDir, RecipeFile), Err: err})
	}
	return l, nil
}

func (l *Layout) openNamedExpert(name, path string) Part {
	part := Part{Name: name, Path: path}
	if path == "" {
		return part
	}
	if part.Err = checkFinished(path); part.Err != nil {
		return part
	}
	e, err := OpenExpert(path)
	if part.Err = err; err != nil {
		return part
	}
	part.Config, l.Experts[name] = &e.Config, e
	sizes, _ := ReadWanSizes(e.Store, e.Config) // whoever loads the expert says what is wrong
	part.describe(e.Store, sizes.Table())
	return part
}

// openNamedPart opens the text encoder or the VAE.
func openNamedPart(kind Kind, path, dir string) (*Store, Part) {
	part := Part{Name: string(kind), Path: path}
	if path == "" {
		part.Err = &Error{dir, string(kind), "no file", wants[kind] + ", in the model's folder or named on its own"}
		return nil, part
	}
	s, err := OpenKind(path, kind)
	if err == nil {
		if err = s.mustBe(kind); err != nil {
			s.Close()
		}
	}
	if part.Err = err; err != nil {
		return nil, part
	}
	return s, part
}

// chooseTokenizer takes the tokenizer that is named, that of a text encoder that is named, or
// else what there is.
func (l *Layout) chooseTokenizer(c Checkpoint, parts Parts) Part {
	p := Part{Name: "tokenizer"}
	var inside []byte
	if l.Text != nil {
		if inside, p.Err = l.Text.Spiece(); p.Err != nil {
			return p
		}
	}
	dir := parts.Tokenizer
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		dir = filepath.Dir(dir)
	}
	switch {
	case inside != nil && c.Parts.Tokenizer == "" && (c.Parts.TextEncoder != "" || dir == ""):
		p.Path, p.Bytes = parts.TextEncoder, int64(len(inside))
	case dir != "":
		l.TokenizerDir, p.Path = dir, dir
		for _, name := range tokenizerFiles {
			if info, err := os.Stat(filepath.Join(dir, name)); err == nil && info.Mode().IsRegular() {
				p.Bytes = info.Size()
				return p
			}
		}
		p.Err = &Error{dir, "tokenizer", "no file", "tokenizer.json or spiece.model"}
	default:
		p.Err = &Error{l.Dir, "tokenizer", "none", "tokenizer.json or spiece.model, or a text encoder that holds it"}
	}
	return p
}

// Files lists all files that the parts were opened from, if they were named or found one by
// one; nil for a folder in the original layout, whose files are all the checkpoint's.
func (l *Layout) Files() (files []string) {
	if !l.named {
		return nil
	}
	stores := []*Store{l.Text, l.VAE}
	for _, name := range []string{HighNoise, LowNoise} {
		stores = append(stores, l.Experts[name].Store)
	}
	for _, s := range stores {
		if s == nil {
			continue
		}
		for _, f := range s.files {
			files = append(files, f.path)
		}
		if config := filepath.Join(filepath.Dir(files[len(files)-1]), ConfigFile); exists(config) {
			files = append(files, config)
		}
	}
	for _, name := range tokenizerFiles {
		if path := filepath.Join(l.TokenizerDir, name); l.TokenizerDir != "" && exists(path) {
			files = append(files, path)
		}
	}
	slices.Sort(files)
	return slices.Compact(files)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
