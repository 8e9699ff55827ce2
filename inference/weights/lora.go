package weights

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"
)

// LoRA is an open file of changes to the weights of an expert: low-rank products
// (https://arxiv.org/abs/2106.09685), products of Hadamard or Kronecker (LyCORIS,
// https://arxiv.org/abs/2309.14859), and differences, named in the ways of any tool.
type LoRA struct {
	store  *Store
	config loraConfig
}

// loraConfig is what peft's adapter_config.json says beside a file, whose keys have no alpha.
type loraConfig struct {
	Alpha  float64 `json:"lora_alpha"` // 0 for the rank
	RSLoRA bool    `json:"use_rslora"` // scales by alpha/sqrt(rank)
}

// OpenLoRA maps a file of any container. Nothing is said of the model that it is for.
func OpenLoRA(path string) (*LoRA, error) {
	file, err := mapFile(path)
	if err != nil {
		return nil, err
	}
	c, err := parse(file)
	if err != nil {
		return nil, errors.Join(instead(err, path, file.data), file.close())
	}
	l := newLoRA(file, c)
	if err := l.readConfig(path); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// IsLoRA reports whether a file of weights has keys of a LoRA's.
func IsLoRA(path string) bool {
	if !isWeights(path) {
		return false
	}
	l, err := OpenLoRA(path)
	if err != nil {
		return false
	}
	defer l.Close()
	return slices.ContainsFunc(l.store.names, func(key string) bool {
		_, part := splitKey(key)
		return part != ""
	})
}

// newLoRA returns what a file holds, by the names that it has there.
func newLoRA(file *mapping, c contents) *LoRA {
	return &LoRA{store: &Store{path: file.path, files: []*mapping{file}, tensors: c.tensors, metadata: c.metadata,
		names: slices.Sorted(maps.Keys(c.tensors)), bytes: int64(len(file.data))}}
}

// readConfig reads the configuration of a file of peft's.
func (l *LoRA) readConfig(path string) error {
	if !strings.HasPrefix(filepath.Base(path), "adapter_model") {
		return nil
	}
	path = filepath.Join(filepath.Dir(path), "adapter_config.json")
	text, err := readSmall(path, maxConfig)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(text, &l.config)
	}
	if err != nil {
		return inField(err, path, "contents", "peft's configuration")
	}
	if a := l.config.Alpha; !(a >= 0 && a <= math.MaxFloat32) {
		return &Error{path, "lora_alpha", fmt.Sprint(a), "a positive number"}
	}
	return nil
}

// Path returns the file.
func (l *LoRA) Path() string { return l.store.path }

// Bytes returns the file's size.
func (l *LoRA) Bytes() int64 { return l.store.bytes }

// Fingerprint tells the file's tensors from others, see Store.Fingerprint.
func (l *LoRA) Fingerprint() (string, error) { return l.store.Fingerprint() }

// Close unmaps the file. No model that it changes may be in use.
func (l *LoRA) Close() error { return l.store.Close() }

// Adaptation is what LoRAs change in an expert's weights, by the tensor's name. The zero
// value changes nothing. The LoRAs must stay open while it is used.
type Adaptation struct{ changes map[string][]change }

// Tensors returns the names of the tensors that change, sorted.
func (a *Adaptation) Tensors() []string { return slices.Sorted(maps.Keys(a.changes)) }

// LoRAReport says what became of a LoRA's keys.
type LoRAReport struct {
	Modules int      // that the file is about
	Fit     int      // of them, that the model has
	Ignored []string // keys of the others, and those that are unknown, sorted
}

// Add adds a LoRA's changes to an expert of the given sizes, at a strength: W becomes
// W + strength*alpha/rank * up·down. Keys that the model has not are reported; the error is a
// *LoRAError if none fits.
func (a *Adaptation) Add(l *LoRA, sizes WanSizes, strength float64) (LoRAReport, error) {
	return a.add(l, newModules(sizes.Table()), strength)
}

// add is Add for a model of these modules.
func (a *Adaptation) add(l *LoRA, model modules, strength float64) (LoRAReport, error) {
	groups, report, err := l.groups(model)
	if err != nil {
		return report, err
	}
	if a.changes == nil {
		a.changes = map[string][]change{}
	}
	for _, g := range groups {
		c, err := g.change(l, strength)
		if err != nil {
			report.Ignored = append(report.Ignored, g.names()...)
			continue
		}
		a.changes[g.spec.Name] = append(a.changes[g.spec.Name], c)
		report.Fit++
	}
	slices.Sort(report.Ignored)
	if report.Fit == 0 {
		return report, &LoRAError{l.Path(), l.store.whole(), report}
	}
	return report, nil
}

// whole reports whether the store seems to hold a model and no changes to one.
func (s *Store) whole() bool {
	return slices.ContainsFunc(s.names, func(name string) bool {
		return strings.HasSuffix(name, "blocks.0.self_attn.q.weight") || strings.HasSuffix(name, "blocks.0.attn1.to_q.weight")
	})
}

// LoRAError says that a file changes nothing in a model.
type LoRAError struct {
	Path   string
	Whole  bool // it is a model itself
	Report LoRAReport
}

func (e *LoRAError) Error() string {
	if e.Whole {
		return fmt.Sprintf("%s: found the weights of a whole model, expected a LoRA, which changes some: open the file as an expert", e.Path)
	}
	if len(e.Report.Ignored) == 0 {
		return e.Path + ": found no tensors, expected a LoRA's"
	}
	return fmt.Sprintf("%s: found a LoRA of another model, or something else: none of its %s fits, such as %q; expected one for Wan 2.1 or 2.2 14B",
		e.Path, plural(len(e.Report.Ignored), "key"), e.Report.Ignored[0])
}
