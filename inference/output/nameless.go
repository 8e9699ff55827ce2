package output

import (
	"os"
	"path/filepath"
	"strings"
	"time"
)

// The prefixes of files that lose their names at once, and those of earlier versions.
var prefixes = []string{".gimbal-", ".writable-", ".video-"}

// unnamed is Nameless by a name that is taken away at once. What a process left that was
// killed in between goes when the next one passes.
func unnamed(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, prefixes[0]+"*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func sweepUnnamed(dir string) {
	entries, _ := os.ReadDir(dir) // making the file says what is wrong
	for _, e := range entries {
		for _, prefix := range prefixes {
			digits, ok := strings.CutPrefix(e.Name(), prefix)
			if !ok || digits == "" || strings.Trim(digits, "0123456789") != "" {
				continue
			}
			if info, err := e.Info(); err == nil && info.Mode().IsRegular() && time.Since(info.ModTime()) > time.Minute {
				os.Remove(filepath.Join(dir, e.Name()))
			}
		}
	}
}
