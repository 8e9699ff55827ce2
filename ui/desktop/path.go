package desktop

import (
	"net/url"
	"os"
	"path/filepath"
)

// absolute calls f with the path made absolute, or says that nothing is there.
func absolute(path string, f func(string) error) error {
	abs, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(abs); err != nil {
		return err
	}
	return f(abs)
}

// fileURL returns an absolute path as a file: URL, with blanks and the like escaped.
func fileURL(path string) string {
	return (&url.URL{Scheme: "file", Path: filepath.ToSlash(path)}).String()
}

// isURL tells a URL to open from a path. One letter is a drive, not a scheme.
func isURL(target string) bool {
	u, err := url.Parse(target)
	return err == nil && len(u.Scheme) > 1
}
