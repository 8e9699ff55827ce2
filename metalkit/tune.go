package metalkit

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"gimbal/inference/device"
	"gimbal/metalkit/kernels"
)

// The operations that have variants.
const (
	opLinear = iota + 1
	opAttention
	opConv
)

var opNames = [...]string{opLinear: "Linear", opAttention: "Attention", opConv: "Conv"}

// shape is what the fastest variant depends on.
type shape struct {
	op    uint8
	sizes [4]int
	with  constants
}

// key is the shape's name in the file.
func (s shape) key() string {
	return fmt.Sprintf("%s %s %s", opNames[s.op], joined("x", s.sizes[:]), joined(",", []uint32{s.with.a, s.with.b, s.with.c, s.with.y, s.with.fn, s.with.flags, s.with.aligned}))
}

func joined[N any](by string, list []N) string {
	words := make([]string, len(list))
	for i, n := range list {
		words[i] = fmt.Sprint(n)
	}
	return strings.Join(words, by)
}

// tuner remembers which variant of an operation is the fastest at a shape.
type tuner struct {
	path string // of the file, or nothing
	log  *slog.Logger

	mu      sync.Mutex // guards what follows: plans are made while submissions run
	file    choices
	byKey   map[shape]int // what this process has looked up or timed
	unsaved bool
}

// choices is the file: those of one chip, system and set of kernels.
type choices struct {
	Chip    string            `json:"chip"`
	System  string            `json:"system"`
	Kernels string            `json:"kernels"` // SHA-256 of their source
	Fastest map[string]string `json:"fastest"` // a variant's name by an operation's shape
}

// openTuner reads the choices for the GPU of max. A file that cannot be read, or is
// of something else, counts as none.
func openTuner(opts Options, max limits) *tuner {
	hash := fmt.Sprintf("%x", sha256.Sum256([]byte(kernels.Source())))
	t := &tuner{log: cmp.Or(opts.Log, slog.Default()), byKey: map[shape]int{}}
	t.file = choices{Chip: max.name, System: max.system, Kernels: hash, Fastest: map[string]string{}}
	if opts.Tuning == "" {
		return t
	}
	t.path = filepath.Join(opts.Tuning, strings.Trim(unnamed.ReplaceAllString(max.name+"-"+max.system+"-"+hash[:12], "-"), "-")+".json")
	text, err := os.ReadFile(t.path)
	if errors.Is(err, os.ErrNotExist) {
		return t
	}
	var kept choices
	if err == nil {
		err = json.Unmarshal(text, &kept)
	}
	if err == nil && (kept.Chip != max.name || kept.System != max.system || kept.Kernels != hash || kept.Fastest == nil) {
		err = errors.New("it is of another chip, system or version")
	}
	if err != nil {
		t.log.Warn("kernel choices are made anew", "file", t.path, "error", err)
		return t
	}
	t.file = kept
	return t
}

// unnamed is what a file's name is not made of.
var unnamed = regexp.MustCompile(`[^A-Za-z0-9.]+`)

// chosen returns the number of the variant that was chosen for s in this process.
func (t *tuner) chosen(s shape) (v int, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	v, ok = t.byKey[s]
	return v, ok
}

// kept returns the number of the variant of c that the file has for s.
func (t *tuner) kept(s shape, c *contest) (v int, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.Index(c.names, t.file.Fastest[s.key()])
	if i < 0 {
		return 0, false
	}
	return c.variants[i], true
}

// choose chooses v for s in this process, and, unless its name is empty, in the file.
func (t *tuner) choose(s shape, v int, name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.byKey[s] = v
	if name != "" {
		t.file.Fastest[s.key()] = name
		t.unsaved = true
	}
}

// contest is between the variants of one operation.
type contest struct {
	fixed    int // what is taken where there is nothing to choose by
	variants []int
	names    []string
	record   func(e *encoder, v int)     // the operation
	trial    func(trial *encoder, v int) // the same, or a part of a large one, without touching its results
}

func (c *contest) add(v int, name string) {
	c.variants, c.names = append(c.variants, v), append(c.names, name)
}

// trialBytes is how many bytes of results a trial writes, about: they stand beside the
// run's own buffers, and keep any GPU busy.
const trialBytes = 64 << 20

// trialRows returns how many rows of results of so many columns a trial has, a multiple
// of some.
func trialRows(rows, cols int, t device.DType, some int) int {
	return min(rows, max(1, trialBytes/(cols*t.Size()*some))*some)
}

// time returns the variant for s: that of the file, or the fastest of c's.
func (e *encoder) time(s shape, c contest) int {
	t := e.dev.tuner
	v, name := c.fixed, ""
	if i, ok := t.kept(s, &c); ok {
		v = i
	} else if e.counts {
		e.foresee(&c)
	} else if i, timed := e.fastest(&c); timed {
		v, name = c.variants[i], c.names[i]
	}
	if e.ctx.Err() == nil && !e.counts {
		t.choose(s, v, name)
	}
	return v
}

// foresee counts the scratch of c's trials, and of the operation by any variant.
func (e *encoder) foresee(c *contest) {
	for _, v := range c.variants {
		for _, record := range []func(*encoder, int){c.trial, c.record} {
			each := e.beside()
			record(each, v)
			e.scratch.most = max(e.scratch.most, each.scratch.most)
		}
	}
}

// beside returns an encoder whose scratch comes after that of e's operation so far.
func (e *encoder) beside() *encoder {
	return &encoder{dev: e.dev, ctx: e.ctx, op: "tuning", counts: e.counts, scratch: scratch{used: e.scratch.used, most: e.scratch.used}}
}

// fastest times c's variants, and reports whether any could be and none was missed.
func (e *encoder) fastest(c *contest) (best int, timed bool) {
	defer e.dev.Trim()
	var least float64
	for i, v := range c.variants {
		trial := e.beside()
		c.trial(trial, v)
		seconds, err := trial.median(least)
		if err != nil {
			e.dev.tuner.log.Debug("a variant is left out", "variant", c.names[i], "error", err)
			continue
		}
		if seconds > 0 && (!timed || seconds < least) {
			best, least, timed = i, seconds, true
		}
	}
	return best, timed && e.ctx.Err() == nil
}

// A run of so many seconds warms up by itself.
const longRun = 0.01

// median runs what e has recorded a few times and returns the median of the GPU's
// seconds; the first run warms up. Where that takes so much longer than the least of
// the others that no warmth makes up for it, it is the only one.
func (e *encoder) median(least float64) (float64, error) {
	if e.err != nil {
		return 0, e.err
	}
	give, err := e.borrow()
	if err != nil {
		return 0, err
	}
	defer give()
	first, err := e.dev.drv.run(e.ctx, "tuning", e.calls)
	trials, hopeless := 5, 2*least
	if first > longRun {
		trials, hopeless = 3, 1.25*least
	}
	if err != nil || least > 0 && first > hopeless {
		return first, err
	}
	var times []float64
	for range trials {
		seconds, err := e.dev.drv.run(e.ctx, "tuning", e.calls)
		if err != nil {
			return 0, err
		}
		times = append(times, seconds)
	}
	slices.SortFunc(times, cmp.Compare)
	return times[trials/2], nil
}

// save writes what is new to the file, if there is one.
func (t *tuner) save() {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.unsaved || t.path == "" {
		return
	}
	t.unsaved = false
	if err := t.write(); err != nil {
		t.log.Warn("kernel choices are not kept", "file", t.path, "error", err)
	}
}

// write replaces the file in one step.
func (t *tuner) write() error {
	var text bytes.Buffer
	lines := json.NewEncoder(&text)
	lines.SetIndent("", "\t")
	if err := lines.Encode(t.file); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(t.path), 0o777); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(t.path), "*.tmp")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(text.Bytes())
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), t.path)
}
