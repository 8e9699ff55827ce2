package tune

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"gimbal/inference/device"
	"gimbal/metalkit/internal/driver"
)

// Shape is what the fastest variant of an operation depends on.
type Shape struct {
	Op    Op
	Sizes [4]int
	With  driver.Constants
}

// Op is the name of an operation that has variants, as device.Op's Name gives it.
type Op string

// The operations that have variants.
const (
	Linear    Op = "Linear"
	Attention Op = "Attention"
	Conv      Op = "Conv"
)

// key is a shape's name in the file.
func (c *Choices) key(s Shape) string {
	n, w := s.Sizes, s.With
	return fmt.Sprintf("%v %s %dx%dx%dx%d %d,%d,%d,%d,%d,%d,%d", c.compute, s.Op, n[0], n[1], n[2], n[3], w.A, w.B, w.C, w.Y, w.Func, w.Flags, w.Aligned)
}

// Choices remembers which variant of an operation is the fastest at a shape.
type Choices struct {
	path    string       // of the file, or nothing
	compute device.DType // in which products are: shapes and names of variants are the same in several
	log     *slog.Logger

	mu       sync.Mutex // guards what follows: plans are made while submissions run
	file     file
	variants map[Shape]int // what this process has looked up or timed
	unsaved  bool
}

// file is what is kept: the choices for one chip, system and set of kernels.
type file struct {
	Chip    string            `json:"chip"`
	System  string            `json:"system"`
	Kernels string            `json:"kernels"`         // SHA-256 of their source
	Fastest map[string]string `json:"fastest"`         // a variant's name by an operation's shape
	Right   map[string]bool   `json:"right,omitempty"` // pipelines that were checked
	Wrong   map[string]string `json:"wrong,omitempty"` // kernels that are switched off, and why
}

// Open reads the choices for a GPU that computes in a type, and kernels whose source has a hash, from their file
// in a folder; without a folder they are of this process only. A file that cannot be
// read, or is of something else, counts as none.
func Open(folder string, gpu driver.Limits, compute device.DType, kernels string, log *slog.Logger) *Choices {
	c := &Choices{compute: compute, log: log, variants: map[Shape]int{}}
	c.file = file{Chip: gpu.Name, System: gpu.System, Kernels: kernels, Fastest: map[string]string{}}
	if folder == "" {
		return c
	}
	c.path = filepath.Join(folder, strings.Trim(unnamed.ReplaceAllString(gpu.Name+"-"+gpu.System+"-"+kernels[:12], "-"), "-")+".json")
	text, err := os.ReadFile(c.path)
	if errors.Is(err, os.ErrNotExist) {
		return c
	}
	var kept file
	if err == nil {
		err = json.Unmarshal(text, &kept)
	}
	if err == nil && (kept.Chip != gpu.Name || kept.System != gpu.System || kept.Kernels != kernels || kept.Fastest == nil) {
		err = errors.New("it is of another chip, system or version")
	}
	if err != nil {
		log.Warn("kernel choices are made anew", "file", c.path, "error", err)
		return c
	}
	c.file = kept
	return c
}

// unnamed is what a file's name is not made of.
var unnamed = regexp.MustCompile(`[^A-Za-z0-9.]+`)

// Chosen returns the number of the variant that was chosen for s in this process.
func (c *Choices) Chosen(s Shape) (variant int, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	variant, ok = c.variants[s]
	return variant, ok
}

// Kept returns the number of the candidate that the file has for s.
func (c *Choices) Kept(s Shape, candidates []Candidate) (variant int, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	name := c.file.Fastest[c.key(s)]
	i := slices.IndexFunc(candidates, func(c Candidate) bool { return c.Name == name })
	if i < 0 {
		return 0, false
	}
	return candidates[i].Variant, true
}

// Choose chooses a variant for s in this process, and, unless its name is empty, in the
// file.
func (c *Choices) Choose(s Shape, v Candidate) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.variants[s] = v.Variant
	if v.Name != "" {
		c.file.Fastest[c.key(s)] = v.Name
		c.unsaved = true
	}
}

// Right reports whether a pipeline was checked, in this process or an earlier one.
func (c *Choices) Right(pipeline string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.file.Right[pipeline]
}

// SetRight keeps that a pipeline was checked.
func (c *Choices) SetRight(pipeline string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.file.Right == nil {
		c.file.Right = map[string]bool{}
	}
	c.file.Right[pipeline], c.unsaved = true, true
}

// Wrong returns why a kernel is switched off; nothing where it is not.
func (c *Choices) Wrong(kernel string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.file.Wrong[kernel]
}

// SetWrong switches a kernel off. Variants are chosen anew.
func (c *Choices) SetWrong(kernel, why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.file.Wrong == nil {
		c.file.Wrong = map[string]string{}
	}
	c.file.Wrong[kernel], c.unsaved = why, true
	clear(c.variants)
}

// AllWrong returns the kernels that are switched off, and why.
func (c *Choices) AllWrong() map[string]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.file.Wrong)
}

// Save writes what is new to the file, if there is one.
func (c *Choices) Save() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.unsaved || c.path == "" {
		return
	}
	c.unsaved = false
	if err := c.write(); err != nil {
		c.log.Warn("kernel choices are not kept", "file", c.path, "error", err)
	}
}

// write replaces the file in one step.
func (c *Choices) write() error {
	var text bytes.Buffer
	lines := json.NewEncoder(&text)
	lines.SetIndent("", "\t")
	if err := lines.Encode(c.file); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(c.path), 0o777); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(c.path), "*.tmp")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(text.Bytes())
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), c.path)
}
