package watch

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// watched returns a Watcher of path and a function that fails the test unless path is
// reported, or is reported when it must not be.
func watched(t *testing.T, path string) (w *Watcher, expect func(what string, change bool)) {
	t.Helper()
	reports := make(chan string, 100)
	w = New(slog.New(slog.DiscardHandler), func(path string) { reports <- path })
	t.Cleanup(w.Close)
	w.Add(path)
	return w, func(what string, change bool) {
		t.Helper()
		wait := time.Minute
		if !change {
			wait = 700 * time.Millisecond
		}
		select {
		case got := <-reports:
			if !change || got != path {
				t.Fatalf("%s: reported %s", what, got)
			}
		case <-time.After(wait):
			if change {
				t.Fatalf("%s: not reported", what)
			}
		}
		for { // one change may be seen in two looks
			select {
			case <-reports:
			case <-time.After(200 * time.Millisecond):
				return
			}
		}
	}
}

func do(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// put writes a file and gives it its name when it is whole, so that one look sees all of the change.
func put(t *testing.T, path, text string) {
	t.Helper()
	whole := filepath.Join(t.TempDir(), "whole")
	do(t, os.WriteFile(whole, []byte(text), 0o644))
	do(t, os.Rename(whole, path))
}

func TestFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "picture.png")
	_, expect := watched(t, path)
	put(t, path, "one")
	expect("created", true)
	do(t, os.WriteFile(filepath.Join(dir, "other"), []byte("two"), 0o644))
	expect("another file", false)
	put(t, path, "four")
	expect("replaced", true)
	do(t, os.WriteFile(path, []byte("three"), 0o644))
	expect("written", true)
	do(t, os.Remove(path))
	expect("removed", true)
	put(t, path, "one")
	expect("back", true)
}

func TestFolder(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	dir := filepath.Join(root, "a", "camera")
	w, expect := watched(t, dir)
	do(t, os.MkdirAll(filepath.Join(dir, "below"), 0o755))
	expect("created with its parents", true)
	do(t, os.WriteFile(filepath.Join(dir, "below", "poses.npy"), []byte("1"), 0o644))
	expect("file below", true)
	do(t, os.Rename(filepath.Join(root, "a"), filepath.Join(root, "b")))
	expect("parent renamed", true)
	do(t, os.Rename(filepath.Join(root, "b"), filepath.Join(root, "a")))
	expect("parent renamed back", true)
	do(t, os.RemoveAll(filepath.Join(root, "a")))
	expect("removed", true)
	do(t, os.MkdirAll(dir, 0o755))
	expect("created again", true)
	w.Keep()
	do(t, os.RemoveAll(dir))
	expect("no longer watched", false)
}

// TestWithoutEvents makes sure that looking alone is enough.
func TestWithoutEvents(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	w, expect := watched(t, path)
	w.mu.Lock()
	w.events.Close()
	w.mu.Unlock()
	do(t, os.WriteFile(path, []byte("one"), 0o644))
	expect("created", true)
}
