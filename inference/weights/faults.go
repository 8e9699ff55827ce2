package weights

import (
	"errors"
	"fmt"
	"slices"

	"gimbal/inference/device"
)

// faults collects what is wrong with a model's tensors. What is wrong with many of them for
// one reason, such as a prefix, a type, a size in a config.json or a full device, becomes one
// error that names the first, their number and the likely cause.
type faults struct {
	groups []*faultGroup
	others []error
	full   bool // the device has no memory left: what follows from it is not told
}

// faultGroup is what is wrong with several tensors in the same way.
type faultGroup struct {
	kind  faultKind
	first *Error
	names []string
	mixed bool // values differ from the first's
}

// faultKind tells what is wrong in the same way.
type faultKind struct{ field, found string }

// add notes what is wrong with a field of the tensor called name.
func (f *faults) add(name, field string, err *Error) {
	kind := faultKind{field, err.Found}
	if field == "shape" || field == "contents" || field == "values" { // each has its own
		kind.found = ""
	}
	i := slices.IndexFunc(f.groups, func(g *faultGroup) bool { return g.kind == kind })
	if i < 0 {
		i = len(f.groups)
		f.groups = append(f.groups, &faultGroup{kind: kind, first: err})
	}
	g := f.groups[i]
	g.mixed = g.mixed || *g.first != (Error{g.first.Path, g.first.Field, err.Found, err.Want})
	if !slices.Contains(g.names, name) {
		g.names = append(g.names, name)
	}
}

// fail notes an error of the device.
func (f *faults) fail(err error) {
	if !f.full {
		f.others = append(f.others, err)
	}
	f.full = f.full || errors.Is(err, device.ErrOutOfMemory)
}

// err returns one error for each kind of fault, or nil.
func (f *faults) err(s *Store) error {
	var errs []error
	for _, g := range f.groups {
		errs = append(errs, g.err(s))
	}
	return errors.Join(append(errs, f.others...)...)
}

func (g *faultGroup) err(s *Store) error {
	if len(g.names) == 1 {
		return g.first
	}
	e := &TensorsError{g.first.Path, g.names, g.kind.field, g.first.Found, g.first.Want}
	switch {
	case g.kind.field == "":
		e.Found = "none of these names"
		if len(g.names) > namedTensors && len(s.names) > 0 {
			e.Found += fmt.Sprintf(", but such as %q", s.names[0])
			e.Want += " (is it of this model, and the download complete?)"
		}
	case g.mixed:
		e.Found += " for the first"
	}
	return e
}
