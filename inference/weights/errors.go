package weights

import (
	"errors"
	"fmt"
	"strings"
)

// Error says what is wrong with a file: which field holds what, and what was
// expected there.
type Error struct {
	Path  string // the file or folder
	Field string // such as `tensor "head.bias" shape`
	Found string
	Want  string
}

// Error clips what a hostile file made long.
func (e *Error) Error() string {
	return fmt.Sprintf("%s: %.200s: found %.300s, expected %.300s", e.Path, e.Field, e.Found, e.Want)
}

// TensorsError says what is wrong with several tensors in the same way.
type TensorsError struct {
	Path        string   // the file or folder
	Names       []string // of the tensors
	Field       string   // such as "dtype"; "" for the tensors themselves
	Found, Want string   // of the first
}

// namedTensors is how many tensors an error names; of more it names the first ones.
const namedTensors = 8

func (e *TensorsError) Error() string {
	field := tensorsText(e.Names)
	if e.Field != "" {
		field += ", " + e.Field
	}
	return fmt.Sprintf("%s: %s: found %.300s, expected %.300s", e.Path, field, e.Found, e.Want)
}

// tensorsText counts tensors and names them, or the first ones.
func tensorsText(names []string) string {
	if len(names) == 1 {
		return tensorField(names[0], "")
	}
	such, n := "", len(names)
	if n > namedTensors {
		names, such = names[:3], "such as "
	}
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = fmt.Sprintf("%.80q", name)
	}
	return fmt.Sprintf("%d tensors, %s%s", n, such, strings.Join(quoted, ", "))
}

// tensorField names a field of a tensor in an Error; field "" is the tensor itself.
func tensorField(name, field string) string {
	if field == "" {
		return fmt.Sprintf("tensor %q", name)
	}
	return fmt.Sprintf("tensor %q %s", name, field)
}

// inField returns err as an Error about a field of a file, if it is none.
func inField(err error, path, field, want string) error {
	var already *Error
	if err == nil || errors.As(err, &already) {
		return err
	}
	return &Error{path, field, err.Error(), want}
}

// JoinCauses is errors.Join of what is wrong with a checkpoint's parts, but that many links that
// lead nowhere, as where a cache was cleared or a disk is not connected, are one error.
func JoinCauses(errs ...error) error {
	var others []error
	var first *Error
	links := 0
	for _, err := range flattened(errs) {
		if link := (*Error)(nil); errors.As(err, &link) && link.Field == "link" {
			if links++; first == nil {
				first = link
			}
			continue
		}
		others = append(others, err)
	}
	if links > 1 {
		first = &Error{first.Path, first.Field, fmt.Sprintf("%s, as are the targets of %s", first.Found, plural(links-1, "other link")), first.Want}
	}
	if first != nil {
		others = append([]error{first}, others...)
	}
	return errors.Join(others...)
}

// flattened lists errors, and of those that are joined each one.
func flattened(errs []error) (all []error) {
	for _, err := range errs {
		if joined, ok := err.(interface{ Unwrap() []error }); ok {
			all = append(all, flattened(joined.Unwrap())...)
		} else if err != nil {
			all = append(all, err)
		}
	}
	return all
}

// plural returns "1 thing" or "n things".
func plural[T int | int64 | uint64](n T, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
