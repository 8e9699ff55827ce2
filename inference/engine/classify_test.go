package engine

import (
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gimbal/inference/picture/picturetest"
)

func TestClassify(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, filepath.FromSlash(name)) }
	for name, text := range map[string]string{
		"camera/poses.npy": "x", "act/action.npy": "x", "model[1]/low_noise_model/x": "", "nf4/high_noise_model_bnb_nf4/x": "", "text.txt": "hello", "folder/text.txt": "hello",
	} {
		if err := os.MkdirAll(filepath.Dir(at(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at(name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.Create(at("a.picture"))
	if err == nil {
		err = png.Encode(f, image.NewGray(image.Rect(0, 0, 8, 8)))
	}
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if err := os.Mkdir(at("empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path string
		kind Kind
		use  string // or a part of the error
	}{
		{"a.picture", KindPicture, "a.picture"}, {"camera", KindCamera, "camera"}, {"camera/poses.npy", KindCamera, "camera"}, {"act", KindCamera, "act"},
		{"model[1]", KindCheckpoint, "model[1]"}, {"nf4", KindCheckpoint, "nf4"}, {"model[1]/low_noise_model", "", dir + "/model[1]"},
		{"text.txt", "", "no picture"}, {"folder", "", "text.txt"}, {"empty", "", "nothing"}, {"gone", "", "no such file"},
	} {
		kind, use, err := Classify(at(c.path))
		switch {
		case kind != c.kind:
			t.Errorf("%s is %q, %v, want %q", c.path, kind, err, c.kind)
		case kind != "" && use != at(c.use):
			t.Errorf("%s: use %s, want %s", c.path, use, at(c.use))
		case kind == "" && (err == nil || !strings.Contains(err.Error(), c.use)):
			t.Errorf("%s: %v, want an error that names %q", c.path, err, c.use)
		}
	}
}

// TestClassifyPictures finds out what the corpus of small pictures is, as what is dropped or
// opened from the Finder.
func TestClassifyPictures(t *testing.T) {
	for _, c := range picturetest.Cases(t) {
		kind, use, err := Classify(c.File)
		switch {
		case c.Right != nil && (err != nil || kind != KindPicture || use != c.File):
			t.Errorf("%s (%s): %q, %s, %v", c.Name, c.What, kind, use, err)
		case c.Right == nil && err != nil:
			c.Check(t, nil, err)
		}
	}
}
