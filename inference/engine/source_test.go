package engine

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"gimbal/inference/golden"
	"gimbal/inference/weights"
)

// TestFingerprint makes sure that a checkpoint is known again wherever it lies and
// however it is linked, and that another one is not taken for it.
func TestFingerprint(t *testing.T) {
	of := func(dir string) string {
		t.Helper()
		l, err := weights.OpenLayout(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		s, err := fingerprint(l)
		if err != nil {
			t.Fatal(err)
		}
		return s.Fingerprint
	}
	original := golden.Checkpoint(t)
	root := t.TempDir()
	copied, linked, relinked := filepath.Join(root, "copied"), filepath.Join(root, "linked"), filepath.Join(root, "relinked")
	if err := os.CopyFS(copied, os.DirFS(original)); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(copied, linked); err != nil {
		t.Skip("no links here: ", err)
	}
	parts, err := os.ReadDir(copied)
	if err == nil {
		err = os.Mkdir(relinked, 0o755)
	}
	for _, part := range parts {
		if err == nil {
			err = os.Symlink(filepath.Join(copied, part.Name()), filepath.Join(relinked, part.Name()))
		}
	}
	if err == nil {
		err = os.MkdirAll(filepath.Join(copied, "cache"), 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(copied, "cache", "x.safetensors"), nil, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	want := of(original)
	for _, dir := range []string{copied, linked, relinked} {
		if got := of(dir); got != want {
			t.Errorf("%s: %s, want %s", dir, got, want)
		}
	}

	l, err := weights.OpenLayout(copied)
	if err != nil {
		t.Fatal(err)
	}
	experts := slices.Sorted(maps.Keys(l.Experts))
	l.Close()
	for _, file := range []string{
		filepath.Join(experts[0], "config.json"),
		filepath.Join("google", "umt5-xxl", "tokenizer.json"),
	} {
		path := filepath.Join(copied, file)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
		if got := of(copied); got == want {
			t.Errorf("the fingerprint does not tell a change of %s", file)
		}
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got := of(copied); got != want {
		t.Errorf("changed back: %s, want %s", got, want)
	}
}
