package weights_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gimbal/inference/golden"
	"gimbal/inference/weights"
)

// TestBrokenParts makes sure that a part that is there and cannot be read is not taken for one that is
// missing: the other expert would do every step without a word of it.
func TestBrokenParts(t *testing.T) {
	expert, err := os.ReadFile(filepath.Join(golden.Checkpoint(t), weights.HighNoise, "diffusion_pytorch_model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	const high, low = "x_high_noise.safetensors", "x_low_noise.safetensors"
	write := func(name string, data []byte) func(dir string) error {
		return func(dir string) error { return os.WriteFile(filepath.Join(dir, name), data, 0o644) }
	}
	link := func(name string) func(dir string) error {
		return func(dir string) error { return os.Symlink("/nowhere/x", filepath.Join(dir, name)) }
	}
	for name, c := range map[string]struct {
		change func(dir string) error
		high   string // what is taken for the high-noise expert
	}{
		"both there":       {write(high, expert), high},
		"one missing":      {func(string) error { return nil }, ""},
		"web page":         {write(high, []byte("<!DOCTYPE html>")), high},
		"cut short":        {write(high, expert[:len(expert)/2]), high},
		"empty":            {write(high, nil), high},
		"dangling link":    {link(high), high},
		"not finished":     {func(dir string) error { return errors.Join(write(high, expert)(dir), write(high+".aria2", nil)(dir)) }, high},
		"hardly begun":     {write(high+".part", nil), high},
		"a broken copy":    {func(dir string) error { return errors.Join(write(high, expert)(dir), write("copy of "+high, nil)(dir)) }, high},
		"something else":   {write("notes.safetensors", nil), ""},
		"folder not there": {link("transformer"), "transformer"},
		"folder of no weights": {func(dir string) error {
			folder := filepath.Join(dir, "transformer")
			return errors.Join(os.Mkdir(folder, 0o755), os.WriteFile(filepath.Join(folder, weights.ConfigFile), []byte("{}"), 0o644))
		}, "transformer"},
	} {
		dir := t.TempDir()
		if err := errors.Join(write(low, expert)(dir), c.change(dir)); err != nil {
			t.Fatal(err)
		}
		want := c.high
		if want != "" {
			want = filepath.Join(dir, want)
		}
		for _, from := range []string{dir, filepath.Join(dir, low)} {
			if c.high == "transformer" && from != dir {
				continue
			}
			parts, err := weights.Checkpoint{Dir: from}.Inspect()
			if err != nil {
				t.Fatal(name, err)
			}
			for _, part := range parts {
				broken := want != "" && name != "both there" && name != "a broken copy"
				if part.Name == weights.HighNoise && (part.Path != want || (part.Err != nil) != broken) {
					t.Errorf("%s, of %s: %q, want %q; error %v", name, filepath.Base(from), part.Path, want, part.Err)
				}
			}
		}
	}
}

// TestManyLinks tells of a cache that was cleared in one error.
func TestManyLinks(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"high_noise_model/config.json", "high_noise_model/diffusion_pytorch_model.safetensors", "low_noise_model/config.json", "low_noise_model/diffusion_pytorch_model.safetensors", "Wan2.1_VAE.pth"} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.Symlink("/nowhere/"+name, path)); err != nil {
			t.Fatal(err)
		}
	}
	_, err := weights.OpenLayout(dir)
	if err == nil || strings.Count(err.Error(), "/nowhere/") != 1 || !strings.Contains(err.Error(), "as are the targets of 4 other links") || !strings.Contains(err.Error(), "text encoder") {
		t.Errorf("error %v", err)
	}
}
