package engine

import (
	"errors"
	"image"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gimbal/inference/device"
	"gimbal/inference/picture/picturetest"
	"gimbal/inference/runstate"
	"gimbal/inference/weights"
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
	run, err := runstate.Create(at("v.run"))
	if err == nil {
		err = errors.Join(run.Save(runstate.State{Settings: []byte("{}")}), run.Close(), os.CopyFS(at("v.run/camera"), os.DirFS(at("camera"))))
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path string
		kind Kind
		use  string // or a part of the error
	}{
		{"v.run", "", "unfinished run"},
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

// TestIdentify says what files and folders are, from what is in them.
func TestIdentify(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for name, text := range map[string]string{
		"empty": "", "note.png": "hello", "page.safetensors": "<html><body>404</body></html>", "lfs.safetensors": "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n",
		"a.pdf": "%PDF-1.4\n", "half.json": `{"a":`, "any.json": `{"a":1}`, "movie": "\x00\x00\x00\x14ftypqt  \x00\x00\x00\x00", "film.mp4": "\x1a\x45\xdf\xa3....",
		"model.gguf": "GGUF\x03\x00\x00\x00\x00\x00\x00\x00", "half.png": "\x89PNG\r\n\x1a\n\x00\x00", "bench.json": `{"benchmark":"vae","device":"CPU"}`, "config.json": `{"num_layers":40}`,
	} {
		if err := os.WriteFile(at(name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	floats := func(io.Writer) error { return nil }
	for name, tensors := range map[string][]string{"lora.safetensors": {"blocks.0.lora_A.weight", "blocks.0.lora_B.weight"}, "part.safetensors": {"blocks.0.bias"}, "dump": dumped} {
		var all []weights.Source
		for _, tensor := range tensors {
			all = append(all, weights.Source{Name: tensor, DType: device.F32, Shape: []int{0}, Write: floats})
		}
		if err := weights.WriteSafetensors(at(name), all, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("nowhere", at("link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(at("frames"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at("frames/frame_00001.png"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"empty": "an empty file", "note.png": "a text", "page.safetensors": "text/html", "lfs.safetensors": "Git LFS", "a.pdf": "application/pdf", "half.json": "is none", "any.json": "of none of the kinds",
		"movie": "QuickTime", "film.mp4": "Matroska", "model.gguf": "weights", "half.png": "PNG", "bench.json": "benchmark vae", "config.json": "configuration",
		"lora.safetensors": "a LoRA", "part.safetensors": "a part of a model: 1 tensors (1 F32)", "dump": "tensors of a run", "link": "nowhere", "frames": "frames", "none": "no such file",
	} {
		_, text, err := Identify(at(name))
		if err != nil {
			text = err.Error()
		}
		if !strings.Contains(text, want) {
			t.Errorf("%s is %s, want %q", name, text, want)
		}
	}
}
