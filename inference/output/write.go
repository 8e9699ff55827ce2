package output

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/google/renameio/v2"
)

// CheckWritable tells whether files can be written to the folder dir, so that a
// long run need not end to find out that they cannot. It writes a small file
// without a name.
func CheckWritable(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return Explain(dir, err)
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is a file, not a folder: choose a folder to write to", dir)
	}
	sweepUnnamed(dir)
	f, err := Nameless(dir)
	if err != nil {
		return Explain(dir, err)
	}
	defer f.Close()
	if _, err := f.Write(make([]byte, 64<<10)); err != nil {
		return Explain(dir, err)
	}
	if err := f.Sync(); err != nil {
		return Explain(dir, err)
	}
	return nil
}

// Explain wraps an error of writing to path with what a person can do.
func Explain(path string, err error) error {
	advice := "choose another file or folder"
	switch {
	case Full(err):
		advice = "the disk is full: free some space or choose a folder on another disk"
	case errors.Is(err, syscall.EROFS):
		advice = "the disk is read-only: choose a folder on another disk"
	case errors.Is(err, fs.ErrPermission):
		advice = "you may not write there: change the folder's permissions or choose another folder"
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		advice = "there is no such folder: create it or choose another"
	}
	return fmt.Errorf("cannot write %s: %s (%w)", path, advice, err)
}

// WriteFile lets fill write the file at path and puts it there, durable, in one
// step: until then, and if it fails, what was there stays.
func WriteFile(path string, fill func(io.Writer) error) error {
	Sweep(path)
	f, err := renameio.NewPendingFile(path,
		renameio.WithTempDir(filepath.Dir(path)),
		renameio.WithPermissions(0o644), renameio.WithExistingPermissions())
	if err != nil {
		return Explain(path, err)
	}
	defer f.Cleanup()
	buffered := bufio.NewWriterSize(f, 1<<20)
	err = fill(buffered)
	if err == nil {
		err = buffered.Flush()
	}
	if err == nil {
		err = f.CloseAtomicallyReplace()
	}
	if err != nil {
		return Explain(path, err)
	}
	return nil
}

// Sweep removes what a process that was killed in WriteFile left of the file at path:
// renameio calls it .NAME and many digits.
func Sweep(path string) {
	dir, name := filepath.Dir(path), filepath.Base(path)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return // the write says what is wrong
	}
	for _, e := range entries {
		digits, ok := strings.CutPrefix(e.Name(), "."+name)
		if ok && len(digits) >= 9 && strings.Trim(digits, "0123456789") == "" && e.Type().IsRegular() {
			os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}
