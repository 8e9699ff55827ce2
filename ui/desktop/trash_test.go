//go:build !darwin

package desktop

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestTrash trashes two files of one name and a folder, and reads the notes on them.
func TestTrash(t *testing.T) {
	dir := t.TempDir()
	data, trash := filepath.Join(dir, "data"), filepath.Join(dir, "data", "Trash")
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	file, folder := filepath.Join(dir, "100% ü.mp4"), filepath.Join(dir, "run")
	for _, text := range []string{"one", "two"} {
		write(t, file, text)
		if err := moveToTrash(file, data, 1000, now); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(folder, "state"), "three")
	if err := moveToTrash(folder, data, 1000, now); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"files/100% ü.mp4": "one", "files/100% ü 2.mp4": "two", "files/run/state": "three",
		"info/100% ü 2.mp4.trashinfo": "[Trash Info]\nPath=" + dir + "/100%25%20%C3%BC.mp4\nDeletionDate=2026-03-04T05:06:07\n",
	} {
		if got, err := os.ReadFile(filepath.Join(trash, name)); err != nil || string(got) != want {
			t.Errorf("%s holds %q, %v; want %q", name, got, err, want)
		}
	}
	if err := moveToTrash(file, data, 1000, now); !os.IsNotExist(err) {
		t.Errorf("of a file that is not there: %v", err)
	}
	notes, _ := filepath.Glob(filepath.Join(trash, "info", "*"))
	if len(notes) != 3 {
		t.Errorf("the notes are %q, want three", notes)
	}
}

// TestTrashOtherDevice trashes a file of another file system into that one's trash.
func TestTrashOtherDevice(t *testing.T) {
	dir, err := os.MkdirTemp("/dev/shm", "gimbal-trash-")
	if err != nil {
		t.Skip("no second file system: ", err)
	}
	defer os.RemoveAll(dir)
	home := t.TempDir()
	if a, b := must(deviceOf(dir)), must(deviceOf(home)); a == b {
		t.Skip("one file system")
	}
	top, err := topDirectory(filepath.Join(dir, "a.mp4"))
	if err != nil || !strings.HasPrefix(dir, top+"/") {
		t.Fatalf("%s is mounted at %q: %v", dir, top, err)
	}
	const uid = 987654321 // nobody's
	trash := filepath.Join(top, ".Trash-987654321")
	defer os.RemoveAll(trash)
	write(t, filepath.Join(dir, "a.mp4"), "one")
	if err := moveToTrash(filepath.Join(dir, "a.mp4"), home, uid, time.Now()); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(trash, "files", "a.mp4")); err != nil || string(got) != "one" {
		t.Errorf("the trashed file holds %q, %v", got, err)
	}
	note, err := os.ReadFile(filepath.Join(trash, "info", "a.mp4.trashinfo"))
	if relative, _ := filepath.Rel(top, dir); err != nil || !strings.Contains(string(note), "\nPath="+relative+"/a.mp4\n") {
		t.Errorf("the note says %q, %v; want the path from %s", note, err, top)
	}
}

func must(device uint64, err error) uint64 {
	if err != nil {
		panic(err)
	}
	return device
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
