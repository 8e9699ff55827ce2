package weights

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// unfinishedSuffixes end the names of what programs keep beside a file, or in its place, while
// they download it: many give it its whole size before they have its contents.
var unfinishedSuffixes = []string{
	".aria2", ".aria2__temp", ".incomplete", ".part", ".partial", ".crdownload", ".download", ".opdownload", ".filepart", ".!qb", ".!ut", ".bc!",
}

// checkFinished returns an error if something beside the file at path, or beside what it
// links to, says that its download is not finished.
func checkFinished(path string) error {
	places := []string{path}
	if target, err := filepath.EvalSymlinks(path); err == nil && target != path {
		places = append(places, target)
	}
	for _, place := range places {
		name := strings.ToLower(filepath.Base(place))
		if beside := unfinished(filepath.Dir(place), func(n string) bool { return strings.HasPrefix(n, name) }); beside != "" {
			return &Error{path, "download", "not finished, by " + beside + " beside it", wantFinished}
		}
	}
	return nil
}

// finishedName returns the name that a file of an unfinished download will have, "" if it is none.
func finishedName(path string) string {
	for _, suffix := range unfinishedSuffixes {
		if strings.HasSuffix(strings.ToLower(path), suffix) {
			return path[:len(path)-len(suffix)]
		}
	}
	return ""
}

// checkFinished returns an error if a download to the folder is not finished.
func (f listing) checkFinished() error {
	if beside := unfinished(f.path, func(string) bool { return true }); beside != "" {
		return &Error{f.path, "download", "not finished, by " + beside, wantFinished}
	}
	return nil
}

const wantFinished = "a finished download: go on with it, or remove that file if it is left over"

// unfinished returns the name of a file in dir, of those that are of interest, that a program
// keeps while it downloads another; "" if there is none.
func unfinished(dir string, of func(lower string) bool) string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return ""
	}
	for _, e := range entries {
		lower := strings.ToLower(e.Name())
		if !strings.HasPrefix(lower, "._") && of(lower) && slices.ContainsFunc(unfinishedSuffixes, func(s string) bool { return strings.HasSuffix(lower, s) }) {
			return e.Name()
		}
	}
	return ""
}
