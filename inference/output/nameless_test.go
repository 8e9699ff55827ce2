package output

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestNameless makes files without a name, by either way, which leave nothing to see, and
// takes away what killed processes of before left.
func TestNameless(t *testing.T) {
	dir := t.TempDir()
	empty := func(when string) {
		t.Helper()
		if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
			t.Errorf("%s: left %v, %v", when, entries, err)
		}
	}
	for name, open := range map[string]func(string) (*os.File, error){"Nameless": Nameless, "unnamed": unnamed} {
		f, err := open(dir)
		if err != nil {
			t.Fatal(err)
		}
		empty(name)
		if _, err := f.Write([]byte("x")); err != nil {
			t.Error(err)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	long := time.Now().Add(-time.Hour)
	for _, name := range []string{".writable-123", ".video-5", ".gimbal-77"} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, long, long); err != nil {
			t.Fatal(err)
		}
	}
	if err := CheckWritable(dir); err != nil {
		t.Fatal(err)
	}
	empty("after a check")
	for _, name := range []string{".writable-x1", ".writable-", ".video-5.mp4", "writable-5"} { // the user's own
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(filepath.Join(dir, name), long, long); err != nil {
			t.Fatal(err)
		}
	}
	if err := CheckWritable(dir); err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 4 {
		t.Errorf("left %v, %v, want the user's own four", entries, err)
	}
}
