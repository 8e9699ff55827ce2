// Package cause has errors travel: what the engine of a worker ran into arrives at whoever asked
// for the video as the same typed error, so that words, hints and marks at settings are the same
// as on one machine.
package cause

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"syscall"

	"gimbal/inference"
	"gimbal/inference/device"
	"gimbal/inference/device/mapped"
)

// Cause is an error as it travels.
type Cause struct {
	Kind   string          `json:"kind"` // one of Kinds
	Values json.RawMessage `json:"values,omitempty"`
}

// kind is a kind of error that travels.
type kind struct {
	name   string
	pack   func(error) (values any, ok bool) // what an error of this kind holds, if it is one
	unpack func(*json.Decoder) (error, error)
}

// kinds are all: of those that an error is, the first counts.
var kinds = []kind{
	plain[inference.MemoryError]("too_large"),
	known("out_of_memory", device.ErrOutOfMemory),
	known("gpu_stopped", device.ErrInterrupted),
	known("device_lost", device.ErrDeviceLost),
	plain[inference.UnhealthyError]("unhealthy"),
	plain[inference.DiskError]("disk_full"),
	known("disk_full_now", syscall.ENOSPC), // without how much would have been needed
	known("quota_full", syscall.EDQUOT),
	plain[mapped.LostError]("files_lost"),
	plain[inference.BusyError]("busy"),
	plain[inference.OtherCheckpointError]("other_checkpoint"),
	{"settings", packSettings, unpackSettings},
	{"checkpoint", packCheckpoint, unpackCheckpoint},
	known("unsupported", device.ErrUnsupported),
}

// Kinds returns the names of all kinds.
func Kinds() (names []string) {
	for _, k := range kinds {
		names = append(names, k.name)
	}
	return names
}

// Of returns what is told of an error; nil for one of no kind. clean leaves out of texts what is
// nobody's business, such as the names of a machine's folders; nil for nothing.
func Of(err error, clean func(string) string) *Cause {
	for _, k := range kinds {
		values, ok := k.pack(err)
		if !ok {
			continue
		}
		if values == nil {
			return &Cause{Kind: k.name}
		}
		text, wrong := json.Marshal(values)
		if wrong == nil && clean != nil {
			text, wrong = cleaned(text, clean)
		}
		if wrong != nil {
			panic(fmt.Sprintf("cause: %s cannot be written: %v", k.name, wrong)) // all that the kinds hold can be
		}
		return &Cause{k.name, text}
	}
	return nil
}

// Err returns the error that travelled; nil for none, and for one of a kind that is not known here.
func (c *Cause) Err() error {
	if c == nil {
		return nil
	}
	for _, k := range kinds {
		if k.name == c.Kind {
			d := json.NewDecoder(bytes.NewReader(c.Values))
			d.UseNumber() // numbers are said as they were
			if err, wrong := k.unpack(d); wrong == nil {
				return err
			}
		}
	}
	return nil
}

// Remote is an error of another machine, in its words.
type Remote struct {
	Where string // the machine
	Text  string
	Err   error // the same as a typed error, where it is one; else nil
}

func (e *Remote) Error() string { return e.Where + ": " + e.Text }

// Unwrap returns the typed error.
func (e *Remote) Unwrap() error { return e.Err }

// plain is a kind of error whose fields are all that there is to it.
func plain[E any, P interface {
	*E
	error
}](name string) kind {
	return kind{
		name: name,
		pack: func(err error) (any, bool) {
			var e P
			return e, errors.As(err, &e)
		},
		unpack: func(d *json.Decoder) (error, error) {
			e := P(new(E))
			return e, d.Decode(e)
		},
	}
}

// known is a kind that is one value.
func known(name string, value error) kind {
	return kind{
		name:   name,
		pack:   func(err error) (any, bool) { return nil, errors.Is(err, value) },
		unpack: func(*json.Decoder) (error, error) { return value, nil },
	}
}

// setting is a SettingError.
type setting struct {
	Setting string            `json:"setting"`
	Mistake inference.Mistake `json:"mistake,omitempty"`
	Found   string            `json:"found,omitempty"`
	Want    string            `json:"want,omitempty"`
	Args    map[string]any    `json:"args,omitempty"`
	Text    string            `json:"text,omitempty"` // of what lies behind it
}

func packSettings(err error) (any, bool) {
	var all []setting
	for _, e := range inference.SettingErrors(err) {
		s := setting{Setting: e.Setting, Mistake: e.Mistake, Found: e.Found, Want: e.Want, Args: e.Args}
		if e.Err != nil {
			s.Text = e.Err.Error()
		}
		all = append(all, s)
	}
	return all, len(all) > 0
}

func unpackSettings(d *json.Decoder) (error, error) {
	var all []setting
	if err := d.Decode(&all); err != nil {
		return nil, err
	}
	var errs []error
	for _, s := range all {
		e := &inference.SettingError{Setting: s.Setting, Mistake: s.Mistake, Found: s.Found, Want: s.Want, Args: s.Args}
		if s.Text != "" {
			e.Err = errors.New(s.Text)
		}
		errs = append(errs, e)
	}
	if len(errs) == 1 {
		return errs[0], nil
	}
	return errors.Join(errs...), nil
}

// checkpoint is a CheckpointError.
type checkpoint struct {
	Dir  string `json:"dir"`
	Text string `json:"text"`
}

func packCheckpoint(err error) (any, bool) {
	var e *inference.CheckpointError
	if !errors.As(err, &e) {
		return nil, false
	}
	return checkpoint{e.Dir, e.Err.Error()}, true
}

func unpackCheckpoint(d *json.Decoder) (error, error) {
	var c checkpoint
	err := d.Decode(&c)
	return &inference.CheckpointError{Dir: c.Dir, Err: errors.New(c.Text)}, err
}

// cleaned cleans all texts in a JSON value.
func cleaned(text []byte, clean func(string) string) ([]byte, error) {
	var v any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	return json.Marshal(cleanTexts(v, clean))
}

func cleanTexts(v any, clean func(string) string) any {
	switch v := v.(type) {
	case string:
		return clean(v)
	case []any:
		for i := range v {
			v[i] = cleanTexts(v[i], clean)
		}
	case map[string]any:
		for key := range v {
			v[key] = cleanTexts(v[key], clean)
		}
	}
	return v
}
