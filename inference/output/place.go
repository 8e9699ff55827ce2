package output

import (
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// place is where a path leads, through links and whatever its names are written like: the
// file that is there, or the nearest folder above it that is there and the names below.
type place struct {
	path string // absolute, without links as far as it is there
	info fs.FileInfo
	rest string // "" if the file is there
}

// maxLinks bounds how many dangling links are followed.
const maxLinks = 40

// find returns the place of a path.
func find(path string) (place, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return place{}, err
	}
	for range maxLinks { // a link to nothing stands for what it names
		target, err := os.Readlink(path)
		if err != nil || exists(path) {
			break
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(path), target)
		}
		path = filepath.Clean(target)
	}
	rest := ""
	for {
		info, err := os.Stat(path)
		if err == nil {
			whole, err := filepath.EvalSymlinks(path)
			return place{filepath.Join(whole, rest), info, fold(rest)}, err
		}
		above := filepath.Dir(path)
		if above == path {
			return place{}, err
		}
		rest = filepath.Join(filepath.Base(path), rest)
		path = above
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// fold makes names equal that one file may have: some file systems tell neither upper from
// lower case nor the ways in which Unicode composes a letter, and nothing of a file that is
// not there says whether this one does.
func fold(name string) string { return cases.Fold().String(norm.NFC.String(name)) }

// folder reports whether there is a folder.
func (p place) folder() bool { return p.rest == "" && p.info.IsDir() }

// is reports whether two places are one.
func (p place) is(q place) bool { return p.rest == q.rest && os.SameFile(p.info, q.info) }

// within reports whether p is q or lies below it.
func (p place) within(q place) bool {
	for {
		if p.is(q) {
			return true
		}
		above := filepath.Dir(p.path)
		if above == p.path {
			return false
		}
		next, err := find(above)
		if err != nil {
			return false
		}
		p = next
	}
}
