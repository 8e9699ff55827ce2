package weights

import (
	"cmp"
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

// Layout is an open checkpoint folder: one or two experts, or the transformer of a causal
// model, a text encoder with its tokenizer, and a VAE.
type Layout struct {
	From         string            // what was opened: Checkpoint.Dir
	Dir          string            // the folder for what is made of the weights
	Experts      map[string]Expert // HighNoise and LowNoise, at least one, or Causal
	Text         *Store            // models_t5_*.pth
	TokenizerDir string            // google/umt5-xxl, or tokenizer; "" where Text holds it
	VAE          *Store            // Wan2.1_VAE.pth
	VAEConfig    *VAEConfig        // vae_config.json; nil if there is none
	Recipe       json.RawMessage   // recipe.json; nil if there is none
	RecipeDir    string            // its folder

	parts  []Part
	places []string // where the other parts are looked for
	named  bool     // parts were named or found one by one: see Files
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
	Zeros   []string       // names of the layers that hold zeros only, as they do until they are trained
	Config  *WanConfig     // of a transformer
	Other   bool           // it is of another choice of Checkpoint.Model than the one asked for
	Err     error          // what is wrong with it
}

// OpenLayout opens the checkpoint in folder dir; see Checkpoint.Open.
func OpenLayout(dir string) (*Layout, error) { return Checkpoint{Dir: dir}.Open() }

// Inspect looks at the checkpoint in folder dir; see Checkpoint.Inspect.
func Inspect(dir string) ([]Part, error) { return Checkpoint{Dir: dir}.Inspect() }

// Parts says what was found of each part.
func (l *Layout) Parts() []Part { return l.parts }

// WeightFiles returns the paths of all files of weights.
func (l *Layout) WeightFiles() (paths []string) {
	for _, p := range l.tables() {
		paths = append(paths, p.store.Files()...)
	}
	return paths
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
func openParts(c Checkpoint) (*Layout, error) {
	if !c.isOriginal() {
		return openNamed(c)
	}
	var err error
	if c.Dir, err = Find(c.Dir); err != nil {
		return nil, err
	}
	f, err := readFolder(c.Dir)
	if err != nil {
		return nil, err
	}
	l := &Layout{From: c.Dir, Dir: c.Dir, Experts: make(map[string]Expert), places: c.places()}
	l.openTransformers(c, f)
	var text, vae Part
	if l.Text, text = l.openFile("text encoder", "models_t5_umt5-xxl-enc-bf16.pth", assetWords[0]); l.Text != nil {
		sizes, _ := ReadUMT5Sizes(l.Text)
		text.describe(l.Text, sizes.Table())
	}
	if l.VAE, vae = l.openFile("VAE", "Wan2.1_VAE.pth", assetWords[1]); l.VAE != nil {
		sizes, _ := ReadVAESizes(l.VAE)
		vae.describe(l.VAE, sizes.Table())
		if l.VAEConfig, err = readVAEConfig(findFile(filepath.Dir(vae.Path), "vae_config.json")); err != nil && !errors.Is(err, os.ErrNotExist) {
			vae.Err = errors.Join(vae.Err, err)
		}
	}
	l.parts = append(l.parts, text, l.openTokenizer(), vae)
	l.RecipeDir = c.RecipeDir()
	if l.Recipe, err = ReadRecipe(l.RecipeDir); err != nil {
		l.parts = append(l.parts, Part{Name: "recipe", Path: filepath.Join(l.RecipeDir, RecipeFile), Err: err})
	}
	if !slices.ContainsFunc(l.parts, func(p Part) bool { return strings.HasPrefix(p.Path, c.Dir) }) {
		l.Close()
		return nil, &Error{c.Dir, "folder", f.text(), fmt.Sprintf("a model: %s and %s, or one of %s; a text encoder, its tokenizer and a VAE", HighNoise, LowNoise, strings.Join(causalFolders(""), ", "))}
	}
	return l, nil
}

// openTransformers opens the experts, or the causal model.
func (l *Layout) openTransformers(c Checkpoint, f listing) {
	causal, part := l.openCausal(c)
	switch {
	case part.Path == "" && (c.Model != "" || !c.HasExperts()):
		want := fmt.Sprintf("a folder %s or %s, or a causal model in %s, %s or %s", HighNoise, LowNoise, FastFolder, V2Folder, PretrainFolder)
		l.parts = append(l.parts, Part{Name: HighNoise, Err: &Error{l.Dir, "experts", "none", want}}, Part{Name: LowNoise})
	case c.Model == "" && c.HasExperts():
		for _, name := range []string{HighNoise, LowNoise} {
			l.parts = append(l.parts, l.openExpert(f, name))
		}
		if part.Path != "" {
			part.Other = true
			l.parts = append(l.parts, part)
		}
		if causal.Store != nil {
			causal.Store.Close()
		}
	default:
		l.parts = append(l.parts, part)
		if causal.Store != nil {
			l.Experts[Causal] = causal
		}
	}
}

func (l *Layout) openExpert(f listing, name string) Part {
	part := Part{Name: name}
	dir := f.expert(name)
	if dir == "" {
		return part
	}
	part.Path = dir
	if _, err := readFolder(dir); err != nil {
		part.Err = err
		return part
	}
	config, err := readWanConfig(findFile(dir, ConfigFile))
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

// expert returns the folder of an expert, its own or else that of its quantised weights; ""
// if there is none. A link that leads nowhere is one: the expert was meant to be there.
func (f listing) expert(name string) string {
	return cmp.Or(f.find(name), f.find(fetchedDir(name, NF4)), f.find(fetchedDir(name, INT8)))
}

// openFile opens the file called name, or else the only one with word in its name, of the
// first of the places that has one.
func (l *Layout) openFile(part, name, word string) (*Store, Part) {
	p := Part{Name: part}
	want := fmt.Sprintf("%s, or one *%s*.pth or *%s*.safetensors", name, word, word)
	for _, dir := range l.places {
		f, err := readFolder(dir)
		if err != nil {
			p.Err = err
			return nil, p
		}
		found := f.filesWith(word)
		switch p.Path = f.find(name); {
		case p.Path != "":
		case len(found) == 0:
			continue
		case len(found) == 1:
			p.Path = filepath.Join(dir, found[0])
		default:
			p.Err = &Error{dir, part, strings.Join(found, ", "), want}
			return nil, p
		}
		store, err := Open(p.Path)
		if err == nil {
			if err = store.only(part); err != nil {
				store.Close()
				store = nil
			}
		}
		p.Err = err
		return store, p
	}
	p.Err = &Error{strings.Join(l.places, " and "), part, "no file", want}
	return nil, p
}

// only returns an error if the tensors are a whole model of another kind than the part, whose
// name is that of a kind.
func (s *Store) only(part string) error {
	if _, ok := s.kinds[Kind(part)]; ok {
		return nil
	}
	for _, kind := range []Kind{KindExpert, KindText, KindVAE} {
		if _, ok := s.kinds[kind]; ok {
			return &Error{s.path, "contents", "those of another part: " + string(kind), part + " (are two files interchanged?)"}
		}
	}
	return nil
}

// filesWith returns the names of files of weights with word in them.
func (f listing) filesWith(word string) []string {
	return slices.DeleteFunc(slices.Clone(f.names), func(n string) bool {
		return !strings.Contains(strings.ToLower(n), word) || !isWeights(n)
	})
}

func (l *Layout) openTokenizer() Part {
	p := Part{Name: "tokenizer"}
	for _, place := range l.places {
		for _, dir := range []string{findFile(findFile(place, "google"), "umt5-xxl"), findFile(place, "tokenizer")} {
			if err := dangling(dir); err != nil {
				p.Path, p.Err = dir, err
				return p
			}
			for _, name := range []string{"tokenizer.json", "spiece.model"} {
				f, err := readFolder(dir)
				if err != nil || f.find(name) == "" {
					continue
				}
				p.Path = dir
				if p.Bytes, p.Err = sizeOf(f.find(name)); p.Err == nil {
					l.TokenizerDir = dir
				}
				return p
			}
		}
	}
	p.Err = &Error{filepath.Join(l.Dir, "google", "umt5-xxl"), "tokenizer", "no file", "tokenizer.json or spiece.model"}
	return p
}

// dangling returns an error if a folder, or the one that it lies in, is a link that leads
// nowhere.
func dangling(dir string) error {
	for _, path := range []string{filepath.Dir(dir), dir} {
		if info, err := os.Lstat(path); err == nil && info.Mode()&os.ModeSymlink != 0 {
			if _, err := stat(path); err != nil {
				return err
			}
		}
	}
	return nil
}

// sizeOf returns the size of a file of a tokenizer, unless it begins like something else.
func sizeOf(path string) (int64, error) {
	file, err := mapFile(path)
	if err != nil {
		return 0, err
	}
	defer file.close()
	if what, want := sniff(file.data); what != "" && !strings.HasPrefix(what, "a text") {
		return 0, &Error{path, "contents", what, want}
	}
	return int64(len(file.data)), nil
}

func (p *Part) describe(s *Store, model Table) {
	p.Bytes, p.Tensors, p.Unused, p.Zeros = s.Bytes(), len(s.names), model.Unused(s), s.untrained(model)
	p.DTypes = make(map[string]int)
	for _, e := range s.tensors {
		if e.stored != "" {
			p.DTypes[e.stored]++
		}
	}
}
