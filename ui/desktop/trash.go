//go:build !darwin

package desktop

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// errOtherDevice says that a file and the home trash are on different file systems.
var errOtherDevice = errors.New("on another file system")

// moveToTrash moves a file or folder into the trash of freedesktop.org's Trash
// specification 1.0: the user's own, or that of the file system which the file is on.
func moveToTrash(path, data string, uid int, now time.Time) error {
	err := trashInto(filepath.Join(data, "Trash"), path, path, now)
	if !errors.Is(err, errOtherDevice) {
		return err
	}
	top, err := topDirectory(path)
	if err != nil {
		return err
	}
	relative, err := filepath.Rel(top, path)
	if err != nil {
		return err
	}
	shared := filepath.Join(top, ".Trash")
	if info, err := os.Lstat(shared); err == nil && info.IsDir() && info.Mode()&fs.ModeSticky != 0 {
		if trashInto(filepath.Join(shared, strconv.Itoa(uid)), path, relative, now) == nil {
			return nil
		}
	}
	if err := trashInto(filepath.Join(top, ".Trash-"+strconv.Itoa(uid)), path, relative, now); err != nil {
		return fmt.Errorf("there is no trash on the file system of %s: %w", path, err)
	}
	return nil
}

// trashInto moves path into one trash folder, noting original as where it was.
func trashInto(trash, path, original string, now time.Time) error {
	files, info := filepath.Join(trash, "files"), filepath.Join(trash, "info")
	for _, dir := range []string{files, info} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	text := fmt.Sprintf("[Trash Info]\nPath=%s\nDeletionDate=%s\n",
		(&url.URL{Path: original}).EscapedPath(), now.Format("2006-01-02T15:04:05"))
	note, name, err := reserve(info, filepath.Base(path))
	if err != nil {
		return err
	}
	_, err = note.WriteString(text)
	if err = errors.Join(err, note.Close()); err == nil {
		err = os.Rename(path, filepath.Join(files, name))
	}
	if err != nil {
		os.Remove(note.Name())
	}
	if errors.Is(err, syscall.EXDEV) {
		return fmt.Errorf("%s: %w", path, errOtherDevice)
	}
	return err
}

// reserve creates the note about a trashed file, under a name that no other has.
func reserve(info, base string) (note *os.File, name string, err error) {
	extension := filepath.Ext(base)
	for n := 1; ; n++ {
		name = base
		if n > 1 {
			name = fmt.Sprintf("%s %d%s", strings.TrimSuffix(base, extension), n, extension)
		}
		note, err = os.OpenFile(filepath.Join(info, name+".trashinfo"), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if !errors.Is(err, fs.ErrExist) {
			return note, name, err
		}
	}
}

// topDirectory returns where the file system of path is mounted.
func topDirectory(path string) (string, error) {
	device, err := deviceOf(filepath.Dir(path))
	if err != nil {
		return "", err
	}
	for top := filepath.Dir(path); ; top = filepath.Dir(top) {
		parent := filepath.Dir(top)
		if d, err := deviceOf(parent); parent == top || err != nil || d != device {
			return top, nil
		}
	}
}

func deviceOf(path string) (uint64, error) {
	var stat syscall.Stat_t
	if err := syscall.Stat(path, &stat); err != nil {
		return 0, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	return uint64(stat.Dev), nil
}
