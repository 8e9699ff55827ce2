// Package assets holds what ships inside the program: the demo model, pictures to
// start from and camera paths. Nothing here knows how they are used.
package assets

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

//go:embed demo/*_noise_model demo/lingbot_world_fast demo/google demo/*.pth demo/*.json pictures cameras
var files embed.FS

//go:embed demo/testdata
var cases embed.FS

// DemoCases returns the reference cases of the demo model, computed in PyTorch (train/reference_case.py):
// cases.json and a safetensors file for each.
func DemoCases() fs.FS {
	dir, err := fs.Sub(cases, "demo/testdata")
	if err != nil {
		panic(err) // it is embedded
	}
	return dir
}

// Demo is the demo model as files on disk, with prompts that suit it.
type Demo struct {
	Checkpoint string // folder
	Pictures   string // folder of pictures to start from
	Cameras    string // folder of camera action folders
	Settings   Settings
}

// Settings are what demo.json says for a job besides the checkpoint's recipe.json.
type Settings struct {
	Prompt         string `json:"prompt"`
	NegativePrompt string `json:"negative_prompt"`
}

// UnpackDemo puts the demo model into a folder of its own under dir, where it can be
// memory-mapped, unless it is there already and whole: caches get cleaned.
func UnpackDemo(dir string) (Demo, error) {
	id, err := digest()
	if err != nil {
		return Demo{}, err
	}
	root := filepath.Join(dir, "demo-"+id)
	if !whole(root) {
		if err := unpack(dir, root); err != nil {
			return Demo{}, fmt.Errorf("unpacking the demo model: %w", err)
		}
	}
	d := Demo{
		Checkpoint: filepath.Join(root, "demo"), Pictures: filepath.Join(root, "pictures"), Cameras: filepath.Join(root, "cameras"),
	}
	text, err := files.ReadFile("demo/demo.json")
	if err == nil {
		err = json.Unmarshal(text, &d.Settings)
	}
	return d, err
}

// whole reports whether all files are in root, of their sizes.
func whole(root string) bool {
	return fs.WalkDir(files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		want, err := entry.Info()
		if err != nil {
			return err
		}
		got, err := os.Stat(filepath.Join(root, filepath.FromSlash(path)))
		if err == nil && got.Size() != want.Size() {
			err = fmt.Errorf("%s: %d bytes, want %d", path, got.Size(), want.Size())
		}
		return err
	}) == nil
}

// unpack writes all files to root, which appears only when it is complete.
func unpack(dir, root string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	temp, err := os.MkdirTemp(dir, "unpacking-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	if err := os.CopyFS(temp, files); err != nil {
		return err
	}
	if os.Rename(temp, root) == nil || whole(root) { // or another process was faster
		return nil
	}
	if err := os.RemoveAll(root); err != nil {
		return err
	}
	return os.Rename(temp, root)
}

// digest names the files' contents, so that a new version is unpacked anew.
func digest() (string, error) {
	hash := sha256.New()
	err := fs.WalkDir(files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := files.ReadFile(path)
		fmt.Fprintf(hash, "%s %d\n", path, len(data))
		hash.Write(data)
		return err
	})
	return hex.EncodeToString(hash.Sum(nil))[:16], err
}
