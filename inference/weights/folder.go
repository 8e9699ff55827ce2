package weights

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// listing is what lies in a folder, but for what is hidden: ".DS_Store", and the "._NAME" that
// macOS keeps beside every file on disks of other systems, are no part of a model. Names are
// found whatever their case, as systems write them that know upper case only.
type listing struct {
	path  string
	names []string // sorted
}

func readFolder(path string) (listing, error) {
	info, err := stat(path)
	if err != nil {
		return listing{}, err
	}
	if !info.IsDir() {
		return listing{}, &Error{path, "file type", fileText(path), "a folder"}
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return listing{}, fmt.Errorf("weights: %w", err)
	}
	f := listing{path: path}
	for _, e := range entries {
		if !Hidden(e.Name()) {
			f.names = append(f.names, e.Name())
		}
	}
	return f, nil
}

// Hidden reports whether a file of that name is no part of a model, whatever it ends in.
func Hidden(name string) bool { return strings.HasPrefix(name, ".") }

// find returns the path of the file or folder called name; "" if there is none.
func (f listing) find(name string) string {
	if slices.Contains(f.names, name) {
		return filepath.Join(f.path, name)
	}
	if i := slices.IndexFunc(f.names, func(n string) bool { return strings.EqualFold(n, name) }); i >= 0 {
		return filepath.Join(f.path, f.names[i])
	}
	return ""
}

// named returns the names that end in suffix.
func (f listing) named(suffix string) (names []string) {
	for _, n := range f.names {
		if strings.HasSuffix(strings.ToLower(n), suffix) {
			names = append(names, n)
		}
	}
	return names
}

// text says what is in the folder.
func (f listing) text() string {
	const most = 8
	if len(f.names) == 0 {
		return "nothing in it"
	}
	return "one with " + strings.Join(f.names[:min(most, len(f.names))], ", ")
}

// findFile returns the path of the file called name in the folder dir, or of the name itself
// there, where there is none: whoever opens it says so.
func findFile(dir, name string) string {
	if f, err := readFolder(dir); err == nil {
		if path := f.find(name); path != "" {
			return path
		}
	}
	return filepath.Join(dir, name)
}

// stat is os.Stat that names the target of a link that leads nowhere, as links do to a disk
// that is not connected, or to a file of a cache that was cleaned.
func stat(path string) (os.FileInfo, error) {
	info, err := os.Stat(path)
	if err == nil {
		return info, nil
	}
	if target, errLink := os.Readlink(path); errLink == nil {
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(path), target)
		}
		found := "a link to " + target + ", which is not there"
		if !errors.Is(err, fs.ErrNotExist) {
			found = "a link to " + target + ", which leads nowhere (" + cause(err) + ")"
		}
		return nil, &Error{path, "link", found, "a link to what is there (is its disk connected?)"}
	}
	return nil, fmt.Errorf("%s: %w", path, errors.Unwrap(err))
}

// fileText says what the file at path is, as far as its beginning tells.
func fileText(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return "a file"
	}
	defer f.Close()
	head, _ := io.ReadAll(io.LimitReader(f, sniffed))
	if what, _ := sniff(head); what != "" {
		return "a file, " + what
	}
	return "a file"
}

// cause is what the system says of a path, without the path.
func cause(err error) string {
	if wrong := (*fs.PathError)(nil); errors.As(err, &wrong) {
		return wrong.Err.Error()
	}
	return err.Error()
}
