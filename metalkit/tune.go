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

// tuner remembers which variant of an operation is the fastest at a shape. It is used
// by the goroutine whose turn it is on the device.
type tuner struct {
	path    string // of the file, or nothing
	log     *slog.Logger
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
	v, ok = t.byKey[s]
	return v, ok
}

// contest is between the variants of one operation.
type contest struct {
	fixed    int // what is taken where there is nothing to choose by
	variants []int
	names    []string
	record   func(trial *encoder, v int) // without touching the operation's results
}

func (c *contest) add(v int, name string) {
	c.variants, c.names = append(c.variants, v), append(c.names, name)
}

// time returns the variant for s: that of the file, or the fastest of c's.
func (e *encoder) time(s shape, c contest) int {
	t := e.dev.tuner
	v := c.fixed
	if i := slices.Index(c.names, t.file.Fastest[s.key()]); i >= 0 {
		v = c.variants[i]
	} else if i, timed := e.fastest(c); timed {
		v = c.variants[i]
		t.file.Fastest[s.key()] = c.names[i]
		t.unsaved = true
	}
	if e.ctx.Err() == nil {
		t.byKey[s] = v
	}
	return v
}

// fastest times c's variants, and reports whether any could be and none was missed.
func (e *encoder) fastest(c contest) (best int, timed bool) {
	var least float64
	for i, v := range c.variants {
		trial := &encoder{dev: e.dev, ctx: e.ctx}
		trial.op = "tuning"
		c.record(trial, v)
		seconds, err := trial.median(least)
		trial.releaseTemps()
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
	if t == nil || !t.unsaved || t.path == "" {
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
