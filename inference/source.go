package inference

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"gimbal/inference/quant"
)

// source says which checkpoint a video comes from.
type source struct {
	Dir string `json:"dir"`
	// Fingerprint is the SHA-256 of the names, the sizes and both ends of the
	// checkpoint's files: it tells checkpoints apart without reading them whole.
	Fingerprint string `json:"fingerprint"`
	// Quant says how the experts' weights were quantised.
	Quant quant.Options `json:"quant,omitzero"`
}

// fingerprintEnd is how much of a file's beginning and end is hashed.
const fingerprintEnd = 64 << 10

// fingerprint describes the checkpoint in dir.
func fingerprint(dir string) (source, error) {
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return source{}, err
	}
	hash := sha256.New()
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && path == filepath.Join(dir, quant.CacheDir) {
			return fs.SkipDir
		}
		if err != nil || entry.IsDir() {
			return err
		}
		switch filepath.Ext(path) {
		case ".safetensors", ".pth", ".json", ".model":
			return hashEnds(hash, dir, path)
		}
		return nil
	})
	return source{Dir: absolute, Fingerprint: hex.EncodeToString(hash.Sum(nil))}, err
}

func hashEnds(hash io.Writer, dir, path string) error {
	name, err := filepath.Rel(dir, path)
	if err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	fmt.Fprintf(hash, "%s %d\n", filepath.ToSlash(name), info.Size())
	for _, offset := range []int64{0, max(0, info.Size()-fingerprintEnd)} {
		if _, err := io.Copy(hash, io.NewSectionReader(f, offset, fingerprintEnd)); err != nil {
			return fmt.Errorf("reading %s: %w", path, err)
		}
	}
	return nil
}
