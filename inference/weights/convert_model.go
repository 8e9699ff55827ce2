package weights

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/renameio/v2"

	"gimbal/inference/output"
)

// ConvertModel writes a checkpoint with its experts in another form to the folder out, complete:
// it runs without what it was made of. Text encoder, VAE and tokenizer stay as they are: linked
// where they are on the same disk, else copied. A folder that a killed process left half done
// is gone on with.
func ConvertModel(ctx context.Context, from Checkpoint, to Target, out string, progress func(part string, done, total int64)) ([]Converted, error) {
	l, err := from.Open()
	if err != nil {
		return nil, err
	}
	defer l.Close()
	if _, causal := l.Experts[Causal]; causal {
		return nil, &Error{l.From, "model", "a causal one", "a model of two experts, or the file or folder of its transformer alone"}
	}
	if err := outside(l, out); err != nil {
		return nil, err
	}
	m := &modelWriter{ctx, l, to, out, progress, Parts{}}
	if err := m.free(); err != nil {
		return nil, err
	}
	err = errors.Join(
		m.file(l.Text, KindText, "models_t5_umt5-xxl-enc-bf16", &m.parts.TextEncoder),
		m.file(l.VAE, KindVAE, "Wan2.1_VAE", &m.parts.VAE),
	)
	if err == nil {
		err = m.tokenizer()
	}
	if err == nil {
		err = m.notes()
	}
	if err != nil {
		return nil, err
	}
	var made []Converted
	for _, name := range m.experts() {
		c, err := m.expert(name)
		if err != nil {
			return made, err
		}
		made = append(made, c)
	}
	return made, nil
}

// outside returns an error if the folder out is one of the model's own.
func outside(l *Layout, out string) error {
	there, err := os.Stat(out)
	if err != nil {
		return nil // not yet
	}
	for _, dir := range []string{l.From, l.Dir, l.TokenizerDir} {
		if own, err := os.Stat(dir); err == nil && os.SameFile(own, there) {
			return &Error{out, "folder", "that of the model itself", "another one"}
		}
	}
	return nil
}

// modelWriter writes a model's parts to a folder.
type modelWriter struct {
	ctx      context.Context
	l        *Layout
	to       Target
	out      string
	progress func(part string, done, total int64)
	parts    Parts // with paths from the folder
}

// experts lists those that the model has.
func (m *modelWriter) experts() []string {
	return slices.DeleteFunc([]string{HighNoise, LowNoise}, func(name string) bool { return m.l.Experts[name].Store == nil })
}

// name returns where an expert is written, from the folder.
func (m *modelWriter) name(expert string) string {
	return filepath.Join(expert, "diffusion_pytorch_model"+m.to.Extension())
}

// free returns an error if something else is where the experts are written, and notes their names.
func (m *modelWriter) free() error {
	for _, name := range m.experts() {
		c := &conversionTo{ctx: m.ctx, source: m.l.Experts[name].Store, to: m.to, path: filepath.Join(m.out, m.name(name))}
		_, err := c.begin(KindExpert)
		if err == nil {
			err = otherConfig(filepath.Dir(c.path), m.l.Experts[name].Config)
		}
		if err != nil {
			return err
		}
		*map[string]*string{HighNoise: &m.parts.HighNoise, LowNoise: &m.parts.LowNoise}[name] = m.name(name)
	}
	return nil
}

func (m *modelWriter) expert(name string) (Converted, error) {
	e, path := m.l.Experts[name], filepath.Join(m.out, m.name(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return Converted{}, fmt.Errorf("weights: %w", err)
	}
	c, err := Convert(m.ctx, e.Store, KindExpert, m.to, path, func(done, total int64) { m.progress(name, done, total) })
	if err != nil {
		return c, err
	}
	return c, WriteWanConfig(filepath.Join(filepath.Dir(path), ConfigFile), e.Config)
}

// file brings the part in a store to the folder, under a name without what it ends in: its own
// file, or of several, or of one that holds other parts too, its tensors.
func (m *modelWriter) file(s *Store, kind Kind, name string, to *string) error {
	if len(s.files) == 1 && len(s.kinds) == 1 {
		path := s.files[0].path
		*to = name + strings.ToLower(filepath.Ext(path))
		return m.bring(path, *to)
	}
	*to = name + ToBF16.Extension()
	_, err := Convert(m.ctx, s, kind, ToBF16, filepath.Join(m.out, *to), func(done, total int64) { m.progress(string(kind), done, total) })
	return err
}

// bring links or copies a file to one of the name in the folder.
func (m *modelWriter) bring(path, name string) error {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return fmt.Errorf("weights: %w", err)
	}
	to := filepath.Join(m.out, name)
	from, err := os.Stat(path)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(to), 0o755)
	}
	if err != nil {
		return fmt.Errorf("weights: %w", err)
	}
	if there, err := os.Lstat(to); err == nil {
		if same, err := m.same(path, from, to, there); same || err != nil {
			return err
		}
		return occupied(to)
	}
	if os.Link(path, to) == nil {
		return nil
	}
	if err := output.CheckRoom(output.Need{Folder: filepath.Dir(to), Bytes: from.Size()}); err != nil {
		return err
	}
	return m.copy(path, to)
}

// occupied says that another file is where one is written.
func occupied(path string) error {
	return &Error{path, "file", "one that is there already, and differs", "another folder, or that file moved away"}
}

// same reports whether two files have the same bytes.
func (m *modelWriter) same(path string, from os.FileInfo, to string, there os.FileInfo) (bool, error) {
	switch {
	case os.SameFile(from, there):
		return true, nil
	case !there.Mode().IsRegular() || there.Size() != from.Size():
		return false, nil
	}
	var sums [2][]byte
	for i, path := range []string{path, to} {
		f, err := os.Open(path)
		if err != nil {
			return false, fmt.Errorf("weights: %w", err)
		}
		sums[i], err = sumOf(m.ctx, f)
		f.Close()
		if err != nil {
			return false, fmt.Errorf("weights: compare %s with what is there: %w", path, err)
		}
	}
	return bytes.Equal(sums[0], sums[1]), nil
}

// copy copies a file, which is there when it is complete.
func (m *modelWriter) copy(path, to string) error {
	source, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("weights: %w", err)
	}
	defer source.Close()
	part, err := os.Create(to + partSuffix)
	if err != nil {
		return fmt.Errorf("weights: %w", err)
	}
	_, err = io.Copy(part, &contextReader{m.ctx, source})
	err = errors.Join(err, part.Sync(), part.Close())
	if err == nil {
		err = os.Rename(part.Name(), to)
	}
	if err != nil {
		os.Remove(part.Name())
		return fmt.Errorf("weights: copy %s: %w", path, err)
	}
	return nil
}

// tokenizer brings the tokenizer's files, or that in the text encoder.
func (m *modelWriter) tokenizer() error {
	dir := filepath.Join("google", "umt5-xxl")
	m.parts.Tokenizer = dir
	if m.l.TokenizerDir == "" {
		data, err := m.l.Text.Spiece()
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Join(m.out, dir), 0o755); err != nil {
			return fmt.Errorf("weights: %w", err)
		}
		return m.write(filepath.Join(dir, "spiece.model"), data)
	}
	for _, name := range []string{"tokenizer.json", "spiece.model", "tokenizer_config.json", "special_tokens_map.json"} {
		path := filepath.Join(m.l.TokenizerDir, name)
		if _, err := os.Stat(path); err != nil {
			continue
		}
		if err := m.bring(path, filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// write writes a small file of the name in the folder, unless it is there already.
func (m *modelWriter) write(name string, data []byte) error {
	path := filepath.Join(m.out, name)
	switch there, err := os.ReadFile(path); {
	case err == nil && bytes.Equal(there, data):
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return occupied(path)
	}
	return renameio.WriteFile(path, data, 0o644)
}

// notes brings what says how the model is run and, for files that the folders of the original
// layout do not hold, which they are.
func (m *modelWriter) notes() error {
	for path, name := range map[string]string{
		filepath.Join(filepath.Dir(m.l.VAE.path), "vae_config.json"): "vae_config.json",
		filepath.Join(m.l.RecipeDir, RecipeFile):                     RecipeFile,
	} {
		if _, err := os.Stat(path); err == nil {
			if err := m.bring(path, name); err != nil {
				return err
			}
		}
	}
	if !m.to.inGGUF() {
		return nil
	}
	text, err := json.MarshalIndent(m.parts, "", "  ")
	if err != nil {
		return err
	}
	return m.write(PartsFile, append(text, '\n'))
}

// KindsIn returns what a file of weights, or a folder of shards, holds.
func KindsIn(path string) (kinds []Kind, err error) {
	s, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	for _, kind := range []Kind{KindExpert, KindText, KindVAE} {
		if _, ok := s.kinds[kind]; ok {
			kinds = append(kinds, kind)
		}
	}
	if len(kinds) == 0 {
		return nil, s.mustBe(KindExpert) // which says what it is
	}
	return kinds, nil
}

// StateConfig writes the config.json of an expert whose file lies in the folder dir, unless its
// tensors say all that it does, or there is one already that says the same.
func StateConfig(dir string, e Expert) error {
	path := filepath.Join(dir, ConfigFile)
	if err := CheckConfig(dir, e); err != nil || e.saysAll() || exists(path) {
		return err
	}
	return WriteWanConfig(path, e.Config)
}

// saysAll reports whether an expert's tensors say all that its config.json would.
func (e Expert) saysAll() bool {
	shapes, err := ShapeConfig(e.Store)
	return err == nil && shapes == e.Config
}

// CheckConfig returns an error if there is another model's config.json in the folder dir, where
// an expert's is to be.
func CheckConfig(dir string, e Expert) error {
	if e.saysAll() {
		return nil
	}
	return otherConfig(dir, e.Config)
}

// otherConfig returns an error if there is a config.json in the folder dir that says something else.
func otherConfig(dir string, config WanConfig) error {
	path := filepath.Join(dir, ConfigFile)
	if !exists(path) {
		return nil
	}
	if there, err := readWanConfig(path); err != nil || there != config {
		return &Error{path, "file", "one that is there already, of another model", fmt.Sprintf("a folder of its own for a model of %d heads", config.NumHeads)}
	}
	return nil
}
