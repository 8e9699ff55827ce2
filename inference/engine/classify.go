package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gimbal/inference/clip"
	"gimbal/inference/device/profile"
	"gimbal/inference/picture"
	"gimbal/inference/runstate"
	"gimbal/inference/video"
	"gimbal/inference/weights"
)

// Kind says what a file or folder is to an engine.
type Kind string

// The kinds.
const (
	KindPicture    Kind = "picture"
	KindCamera     Kind = "camera"     // a folder that controls a clip
	KindCheckpoint Kind = "checkpoint" // a folder that looks like one, whole or not, or a file that stands for one
	KindPart       Kind = "part"       // a file of weights without all that goes with it
	KindLoRA       Kind = "lora"       // a file of changes to experts
	KindRun        Kind = "run"        // a folder of a run that is not finished; of Identify only
)

// Classify finds out what is at path, without reading it whole, and what to use of it: the
// path itself, or the folder in which a control's file lies. The error says what was found
// instead and what would do.
func Classify(path string) (kind Kind, use string, err error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return "", path, err
	case !info.IsDir() && slices.Contains([]string{".npy", ".npz"}, strings.ToLower(filepath.Ext(path))):
		source, err := clip.Find(path)
		if err != nil {
			return "", path, err
		}
		return KindCamera, source.Path, nil
	case info.IsDir():
		return classifyFolder(path)
	case weights.IsLoRA(path):
		return KindLoRA, path, nil
	case weights.IsModelFile(path) && !made(path):
		return classifyFile(path)
	}
	if _, _, err := picture.Bounds(path); errors.As(err, new(picture.UnreadError)) || errors.As(err, new(picture.MistakenError)) {
		return "", path, err
	} else if err != nil {
		return "", path, fmt.Errorf("%w, a camera folder with poses.npy and intrinsics.npy, or a model folder", err)
	}
	return KindPicture, path, nil
}

// classifyFile says what a file of weights, or a list of parts, is.
func classifyFile(path string) (kind Kind, use string, err error) {
	if filepath.Ext(path) == filepath.Ext(weights.PartsFile) {
		_, err := weights.ReadParts(path)
		return KindCheckpoint, path, err
	}
	parts, err := weights.PartsOf(path)
	switch {
	case parts == weights.Parts{}:
		return "", path, err
	case err != nil || !parts.Whole(): // there may be several of the rest
		return KindPart, path, nil
	}
	return KindCheckpoint, path, nil
}

// Join writes a list of the parts in files, with the rest of those of the model at base, "" for
// none, to a file in folder, which then stands for a model.
func Join(folder, base string, files []string) (path string, err error) {
	parts, err := weights.JoinParts(base, files)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(fmt.Append(nil, parts))
	path = filepath.Join(folder, hex.EncodeToString(sum[:8]), weights.PartsFile)
	return path, weights.WriteParts(path, parts)
}

// made reports whether the file at path is one of JSON that Gimbal writes, and names no
// model's parts.
func made(path string) bool {
	var report struct{ Benchmark, Device string }
	return video.MadeSidecar(path) || profile.MadeTrace(path) || video.ReadSidecar(path, &report) == nil && report.Benchmark != "" && report.Device != ""
}

func classifyFolder(dir string) (kind Kind, use string, err error) {
	if runstate.IsRun(dir) { // its copy of a camera path goes with it
		return "", dir, errors.New("found the folder of an unfinished run, want a picture, a camera folder or a model folder")
	}
	if clip.IsControl(dir) {
		return KindCamera, dir, nil
	}
	checkpoint, err := weights.Find(dir)
	if err != nil {
		return "", dir, err
	}
	if weights.IsCheckpoint(checkpoint) || weights.HoldsExpert(checkpoint) {
		return KindCheckpoint, checkpoint, nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", dir, err
	}
	var found []string
	for _, e := range entries {
		if !weights.Hidden(e.Name()) {
			found = append(found, e.Name())
		}
	}
	if _, err := clip.Find(dir); !errors.Is(err, clip.ErrNoControl) {
		return KindCamera, dir, nil // in a folder of it, or one of several: opening it says so
	}
	what := "nothing in it"
	if len(found) > 0 {
		what = "one with " + strings.Join(found[:min(len(found), 8)], ", ")
	}
	return "", dir, fmt.Errorf("found %s, want a camera folder, with poses.npy and intrinsics.npy, or a model folder, "+
		"with high_noise_model, low_noise_model, the text encoder and the VAE", what)
}
