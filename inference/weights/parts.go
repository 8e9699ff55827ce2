package weights

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/renameio/v2"

	"gimbal/inference"
)

// Parts name a model's parts: files, or folders of shards. "" is for those that are to be
// found.
type Parts struct {
	HighNoise   string `json:"high_noise,omitempty"`
	LowNoise    string `json:"low_noise,omitempty"`
	TextEncoder string `json:"text_encoder,omitempty"`
	VAE         string `json:"vae,omitempty"`
	Tokenizer   string `json:"tokenizer,omitempty"` // a folder with tokenizer.json or spiece.model, or one of the two
}

// PartsFile is the name of a file that names the parts of a model, as the JSON of Parts;
// paths are from its folder.
const PartsFile = "model.json"

// fields are p's by their names in a PartsFile.
func (p *Parts) fields() map[string]*string {
	return map[string]*string{"high_noise": &p.HighNoise, "low_noise": &p.LowNoise, "text_encoder": &p.TextEncoder, "vae": &p.VAE, "tokenizer": &p.Tokenizer}
}

// fill takes what p does not name from others.
func (p *Parts) fill(others Parts) {
	from := others.fields()
	for name, to := range p.fields() {
		if *to == "" {
			*to = *from[name]
		}
	}
}

// Paths are the files and folders that p names, in order of the parts' names.
func (p Parts) Paths() (paths []string) {
	fields := p.fields()
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if *fields[name] != "" {
			paths = append(paths, *fields[name])
		}
	}
	return paths
}

// ReadParts reads a PartsFile.
func ReadParts(path string) (Parts, error) {
	text, err := readSmall(path, maxConfig)
	if err != nil {
		return Parts{}, err
	}
	return parseParts(path, text)
}

func parseParts(path string, text []byte) (Parts, error) {
	values, err := parseObject(path, text)
	if err != nil {
		return Parts{}, err
	}
	var p Parts
	fields := p.fields()
	known := strings.Join(slices.Sorted(maps.Keys(fields)), ", ")
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(values.values)) {
		to := fields[name]
		if to == nil {
			errs = append(errs, &Error{path, name, "a part of this name", "one of " + known})
			continue
		}
		if err := values.read(name, to, "the path of a file or folder"); err != nil {
			errs = append(errs, err)
		} else if *to = inference.Path(*to); *to == "" {
			errs = append(errs, &Error{path, name, "no path", "the path of a file or folder"})
		} else if inference.IsAddress(*to) {
			errs = append(errs, &Error{path, name, "the address " + *to, "the path of a file or folder: download it first"})
		} else if !filepath.IsAbs(*to) {
			*to = filepath.Join(filepath.Dir(path), *to)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return Parts{}, err
	}
	if p == (Parts{}) {
		return p, &Error{path, "contents", "no part", "one of " + known}
	}
	return p, nil
}

// unit is a file, or a folder of shards, that holds models, or that holds none but should.
type unit struct {
	path   string
	kinds  map[Kind]model
	broken bool // it cannot be opened: whoever does says why
}

// isExpert reports whether the unit holds an expert or, broken, is called like one.
func (u unit) isExpert() bool { return u.is(KindExpert, noiseOf(u.path) != "") }

// is reports whether the unit holds a model of a kind, or is broken and called like one.
func (u unit) is(kind Kind, called bool) bool {
	_, ok := u.kinds[kind]
	return ok || u.broken && called
}

// called reports whether a word is in the name of a unit or of the folder that it is in.
func (u unit) called(words ...string) bool {
	name := strings.ToLower(filepath.Base(filepath.Dir(u.path)) + "/" + filepath.Base(u.path))
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(name, w) })
}

// find completes c.Parts by what there is in c.Dir: a folder, a file of weights or a
// PartsFile. It does not say what is missing.
func (c Checkpoint) find() (Parts, error) {
	p, root := c.Parts, c.Dir
	if root == "" {
		return p, nil
	}
	info, err := os.Stat(root)
	if err != nil {
		return p, fmt.Errorf("weights: %w", err)
	}
	list := root
	if info.IsDir() {
		list = filepath.Join(root, PartsFile)
	}
	switch named, err := ReadParts(list); {
	case err == nil:
		p.fill(named)
		return p, nil
	case info.IsDir() && !errors.Is(err, fs.ErrNotExist), !info.IsDir() && strings.EqualFold(filepath.Ext(root), ".json"):
		return p, err
	case !info.IsDir():
		if root, err = p.fillFile(root); err != nil {
			return p, err
		}
	}
	return p, p.search(root, info.IsDir())
}

// fillFile takes from a file what it holds, and returns the folder in which the rest is to
// be looked for.
func (p *Parts) fillFile(path string) (root string, err error) {
	own, err := partsIn(path)
	if err != nil {
		return "", err
	}
	p.fill(own)
	p.fill(Parts{HighNoise: otherExpert(own.LowNoise), LowNoise: otherExpert(own.HighNoise)})
	return rootOf(cmp.Or(own.Paths()...)), nil
}

// partsIn says which parts a file holds, or the folder of the shard that it is.
func partsIn(path string) (own Parts, err error) {
	if shardName.MatchString(filepath.Base(path)) {
		path = filepath.Dir(path)
	}
	s, err := Open(path)
	if err != nil {
		return own, err
	}
	defer s.Close()
	if len(s.kinds) == 0 {
		return own, s.mustBe(KindExpert) // which says what it is
	}
	if _, ok := s.kinds[KindExpert]; ok && noiseOf(path) == LowNoise {
		own.LowNoise = path
	} else if ok {
		own.HighNoise = path
	}
	if _, ok := s.kinds[KindText]; ok {
		own.TextEncoder = path
	}
	if _, ok := s.kinds[KindVAE]; ok {
		own.VAE = path
	}
	return own, nil
}

// Whole reports whether p names all that a model cannot do without; a tokenizer may be in the
// text encoder's file.
func (p Parts) Whole() bool {
	return (p.HighNoise != "" || p.LowNoise != "") && p.TextEncoder != "" && p.VAE != ""
}

// PartsOf returns the parts that a file gives: those in it and, if there is an expert, those
// that are found around it.
func PartsOf(path string) (Parts, error) {
	own, err := partsIn(path)
	if err != nil || own.HighNoise == "" && own.LowNoise == "" {
		return own, err
	}
	return Checkpoint{Dir: path}.find()
}

// JoinParts returns the parts in files and, for those that none of them holds, what the model
// at base has; of its experts only if the files hold none. "" is for no model.
func JoinParts(base string, files []string) (Parts, error) {
	var p Parts
	for _, path := range files {
		own, err := partsIn(path)
		if err != nil {
			return p, err
		}
		for name, to := range p.fields() {
			if from := *own.fields()[name]; from != "" && *to != "" && from != *to {
				return p, &Error{path, name, "a second one, beside " + *to, "one file for each part (an expert for low noise has low in its name)"}
			}
		}
		p.fill(own)
	}
	p.fill(Parts{HighNoise: otherExpert(p.LowNoise), LowNoise: otherExpert(p.HighNoise)})
	if base == "" {
		return p, nil
	}
	others, err := Checkpoint{Dir: base}.find()
	if err != nil {
		return p, err
	}
	if !isPartsFile(base) && (p.HighNoise != "" || p.LowNoise != "") {
		others.HighNoise, others.LowNoise = "", ""
	}
	p.fill(others)
	return p, nil
}

// WriteParts writes a PartsFile.
func WriteParts(path string, p Parts) error {
	text, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return renameio.WriteFile(path, append(text, '\n'), 0o644)
}

// partFolders are the folders of single parts in ComfyUI and in diffusers' models.
var partFolders = []string{
	"diffusion_models", "unet", "checkpoints", "text_encoders", "clip", "vae",
	"transformer", "transformer_2", "text_encoder",
}

// rootOf returns the folder that holds all parts of a model of which one is at path.
func rootOf(path string) string {
	for _, at := range []string{path, filepath.Dir(path), filepath.Dir(filepath.Dir(path))} {
		if name := filepath.Base(at); slices.Contains(partFolders, name) || ofExpert(name) {
			return filepath.Dir(at)
		}
	}
	return filepath.Dir(path)
}

// noiseOf returns the expert that a file or folder is by its name, or by that of the folder
// that it is in; "" if nothing tells.
func noiseOf(path string) string {
	for _, name := range []string{filepath.Base(path), filepath.Base(filepath.Dir(path))} {
		switch {
		case name == "transformer":
			return HighNoise
		case name == "transformer_2":
			return LowNoise
		}
		words := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return strings.ContainsRune("_-. ", r) })
		high := slices.ContainsFunc(words, func(w string) bool { return w == "high" || w == "highnoise" || w == "h" })
		low := slices.ContainsFunc(words, func(w string) bool { return w == "low" || w == "lownoise" || w == "l" })
		switch {
		case high && !low:
			return HighNoise
		case low && !high:
			return LowNoise
		}
	}
	return ""
}

// otherExpert returns the file that has the same path as an expert's but for which expert it
// is; "" if there is none.
func otherExpert(path string) string {
	if path == "" {
		return ""
	}
	for _, pair := range [][2]string{{"high", "low"}, {"High", "Low"}, {"HIGH", "LOW"}, {"_H_", "_L_"}, {"_H.", "_L."}} {
		for _, way := range [][2]string{pair, {pair[1], pair[0]}} {
			other := strings.ReplaceAll(path, way[0], way[1])
			info, err := os.Lstat(other)
			if other != path && (err == nil && !info.IsDir() || err != nil && checkFinished(other) != nil) {
				return other
			}
		}
	}
	return ""
}

// search looks for the parts that p does not name, experts only if asked for, in a folder and
// those in it. Of several files that would do for a part it takes none: the error names them.
func (p *Parts) search(root string, wantExperts bool) error {
	experts := map[string][]unit{}
	var texts, vaes []unit
	for _, u := range units(root) {
		if u.isExpert() {
			noise := noiseOf(u.path)
			experts[noise] = append(experts[noise], u)
		}
		if u.is(KindText, u.called("t5", "text_encoder")) {
			texts = append(texts, u)
		}
		if u.is(KindVAE, u.called("vae")) {
			vaes = append(vaes, u)
		}
	}
	if p.HighNoise == "" && p.LowNoise == "" && len(experts[HighNoise])+len(experts[LowNoise]) == 0 {
		experts[HighNoise] = experts[""] // the only one runs at every step
	}
	var errs []error
	for _, part := range []struct {
		name  string
		to    *string
		found []unit
	}{
		{HighNoise, &p.HighNoise, experts[HighNoise]}, {LowNoise, &p.LowNoise, experts[LowNoise]},
		{string(KindText), &p.TextEncoder, texts}, {string(KindVAE), &p.VAE, vaes},
	} {
		if *part.to != "" || !wantExperts && (part.name == HighNoise || part.name == LowNoise) {
			continue
		}
		if whole := slices.DeleteFunc(slices.Clone(part.found), func(u unit) bool { return u.broken }); len(whole) > 0 {
			part.found = whole // what is broken beside it is something else
		}
		if len(part.found) > 1 {
			names := make([]string, len(part.found))
			for i, u := range part.found {
				names[i], _ = filepath.Rel(root, u.path)
			}
			errs = append(errs, &Error{root, part.name, strings.Join(names, ", "), fmt.Sprintf("one: name it in a %s beside them, or on its own", PartsFile)})
		} else if len(part.found) == 1 {
			*part.to = part.found[0].path
		}
	}
	if p.Tokenizer == "" {
		p.Tokenizer = findTokenizer(root, filepath.Dir(cmp.Or(p.TextEncoder, filepath.Join(root, "none"))))
	}
	return errors.Join(errs...)
}

// tokenizerFiles are those of a tokenizer, the better one first.
var tokenizerFiles = []string{"tokenizer.json", "spiece.model"}

// findTokenizer returns the first of the usual folders with a tokenizer.
func findTokenizer(root, text string) string {
	for _, dir := range []string{
		filepath.Join(root, "google", "umt5-xxl"), filepath.Join(root, "tokenizer"), text, root,
		filepath.Join(root, "text_encoders"), filepath.Join(root, "text_encoder"),
	} {
		for _, name := range tokenizerFiles {
			if info, err := os.Stat(filepath.Join(dir, name)); err == nil && info.Mode().IsRegular() {
				return dir
			}
		}
	}
	return ""
}

// Limits on a search.
const (
	searchDepth = 3
	searchUnits = 500
)

// units lists what holds models, or should, in a folder and those below it.
func units(root string) (all []unit) {
	add := func(path string) {
		if u, err := classify(path); err != nil || len(u.kinds) > 0 {
			all = append(all, unit{path, u.kinds, err != nil})
		}
	}
	var look func(dir string, depth int)
	look = func(dir string, depth int) {
		f, _ := readFolder(dir) // what cannot be read holds nothing
		if f.sharded() {
			add(dir)
			return
		}
		if base := filepath.Base(dir); noiseOf(dir) != "" && slices.Contains(partFolders, base) && f.find(ConfigFile) != "" && !slices.ContainsFunc(f.names, isWeights) {
			all = append(all, unit{path: dir, broken: true}) // a transformer's folder without its weights
		}
		for _, name := range f.names {
			path := filepath.Join(dir, name)
			if whole := finishedName(path); whole != "" && !exists(whole) && isWeights(whole) {
				all = append(all, unit{path: whole, broken: true})
			}
			info, err := os.Stat(path)
			switch {
			case err != nil && (isWeights(path) || slices.Contains(partFolders, name)):
				all = append(all, unit{path: path, broken: true}) // a link that leads nowhere
			case err != nil || len(all) >= searchUnits:
			case info.IsDir() && depth < searchDepth && name != CacheDir:
				look(path, depth+1)
			case info.Mode().IsRegular() && isWeights(path):
				add(path)
			}
		}
	}
	look(root, 0)
	return all
}

// IsModelFile reports whether a file can stand for a checkpoint: it holds tensors or lists
// parts, by its name.
func IsModelFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir() && (isWeights(path) || isPartsFile(path))
}

// sharded reports whether a folder holds one model in shards.
func (f listing) sharded() bool {
	files := f.named(safetensorsSuffix)
	return len(f.named(indexSuffix)) > 0 || len(files) > 1 && numbered(files)
}

// HoldsExpert reports whether a file, or a folder with those in it, holds an expert, or names
// one as a PartsFile does.
func HoldsExpert(path string) bool {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return false
	case !info.IsDir() && isWeights(path):
		u, err := classify(path)
		return err == nil && u.isExpert()
	case !info.IsDir():
		p, err := ReadParts(path)
		return err == nil && (p.HighNoise != "" || p.LowNoise != "")
	}
	return exists(filepath.Join(path, PartsFile)) || slices.ContainsFunc(units(path), unit.isExpert)
}

// classify says which models are in a file or a folder of shards.
func classify(path string) (unit, error) {
	s, err := Open(path)
	if err != nil {
		return unit{}, err
	}
	defer s.Close()
	return unit{path: path, kinds: s.kinds}, nil
}
