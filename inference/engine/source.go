package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gimbal/inference"
	"gimbal/inference/video"
	"gimbal/inference/weights"
)

// source says which checkpoint a video comes from.
type source struct {
	Dir string `json:"dir"` // or file; "" where the job names all parts
	// Fingerprint is the SHA-256 of the names, the sizes and both ends of the
	// checkpoint's files: it tells checkpoints apart without reading them whole.
	Fingerprint string `json:"fingerprint"`
	// Quant says how the experts' weights were quantised.
	Quant inference.Quant `json:"quant,omitzero"`
	// LoRAs are those that the experts are changed by, in order.
	LoRAs []loraSource `json:"loras,omitempty"`
	// Calibration tells that which a cache goes by from others; "" for none.
	Calibration string `json:"calibration,omitempty"`
}

// source says which checkpoint and LoRAs the run's video comes from.
func (r *run) source() source {
	s := r.p.source
	s.Calibration = r.calibrationID()
	if r.adapted != nil {
		s.LoRAs = r.adapted.sources
	}
	return s
}

// fingerprintEnd is how much of a file's beginning and end is hashed.
const fingerprintEnd = 64 << 10

// fingerprint describes an open checkpoint. It looks at the files of its own
// folders, which may be links, and not at what lies below them: caches change.
func fingerprint(l *weights.Layout) (source, error) {
	absolute, err := absolutePath(l.From)
	if err != nil {
		return source{}, err
	}
	if files := l.Files(); files != nil {
		hash := sha256.New()
		for _, file := range files {
			if err := hashEnds(hash, filepath.Dir(file), file); err != nil {
				return source{}, err
			}
		}
		return source{Dir: absolute, Fingerprint: hex.EncodeToString(hash.Sum(nil))}, nil
	}
	folders := []string{l.Dir, l.TokenizerDir}
	for _, s := range []*weights.Store{l.Text, l.VAE} {
		if folder := filepath.Dir(s.Path()); folder != l.Dir {
			folders = append(folders, folder)
		}
	}
	for _, expert := range slices.Sorted(maps.Keys(l.Experts)) {
		folder := l.Experts[expert].Store.Path()
		if strings.EqualFold(filepath.Ext(folder), ".safetensors") { // one file, not shards
			folder = filepath.Dir(folder)
		}
		folders = append(folders, folder)
	}
	hash := sha256.New()
	for _, folder := range folders {
		files, err := os.ReadDir(folder) // sorted by name
		if err != nil {
			return source{}, err
		}
		for _, file := range files {
			if weights.Hidden(file.Name()) || strings.EqualFold(file.Name(), weights.RecipeFile) || weights.IsCalibration(file.Name()) { // how to sample is no part of what is sampled
				continue
			}
			switch strings.ToLower(filepath.Ext(file.Name())) {
			case ".safetensors", ".pth", ".json", ".model":
				if video.MadeSidecar(filepath.Join(folder, file.Name())) { // of a video that was put there
					continue
				}
				base := l.Dir
				if name, err := filepath.Rel(l.Dir, folder); err != nil || !filepath.IsLocal(name) {
					base = folder // wherever the text encoder and the VAE are
				}
				if err := hashEnds(hash, base, filepath.Join(folder, file.Name())); err != nil {
					return source{}, err
				}
			}
		}
	}
	return source{Dir: absolute, Fingerprint: hex.EncodeToString(hash.Sum(nil))}, nil
}

// Fingerprint returns what tells the checkpoint in a folder from others: the SHA-256 of the
// names, the sizes and both ends of its files.
func Fingerprint(checkpoint string) (string, error) {
	layout, err := weights.OpenLayout(checkpoint)
	if err != nil {
		return "", &inference.CheckpointError{Dir: checkpoint, Err: err}
	}
	defer layout.Close()
	s, err := fingerprint(layout)
	return s.Fingerprint, err
}

// absolutePath is filepath.Abs, but of no path none.
func absolutePath(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	return filepath.Abs(path)
}

// hashEnds hashes the name of the file at path, its size and both ends.
func hashEnds(hash io.Writer, dir, path string) error {
	name, err := filepath.Rel(dir, path)
	if err != nil {
		return err
	}
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) { // a link that leads nowhere, and that nobody uses
		return nil
	}
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
