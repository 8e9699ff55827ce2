package weights

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gimbal/inference"
)

// Find returns the folder of the checkpoint that path leads to: path itself, the snapshot in
// a repository of Hugging Face's cache, or the one checkpoint in a folder of folders. A folder
// that leads to none is returned as it is: whoever opens it says what is missing. The error
// names what is there instead. A file that can stand for a checkpoint is itself.
func Find(path string) (string, error) {
	if path == "" || IsModelFile(path) {
		return path, nil
	}
	f, err := readFolder(path)
	if err != nil {
		return path, notFolder(err, path)
	}
	if f.isCheckpoint() {
		return path, nil
	}
	if parent, err := readFolder(filepath.Dir(absolute(path))); err == nil && ofExpert(filepath.Base(absolute(path))) && parent.isCheckpoint() {
		return path, &Error{path, "checkpoint", "one part of a model", "the folder that holds all of them: " + parent.path}
	}
	if f.isModel() {
		return path, nil
	}
	switch found := f.checkpoints(); len(found) {
	case 0:
		return path, nil
	case 1:
		return found[0], nil
	default:
		return path, &Error{path, "checkpoint", fmt.Sprintf("%d of them, %s", len(found), strings.Join(found, ", ")), "one of these folders"}
	}
}

// notFolder says which folder a file is of, where it was given in its place.
func notFolder(err error, path string) error {
	if inference.IsAddress(path) {
		return &Error{path, "checkpoint", "an address", "a folder or file on this machine: download it first"}
	}
	info, errStat := os.Stat(path)
	if errStat != nil || info.IsDir() {
		return err
	}
	dir := filepath.Dir(absolute(path))
	if f, err := readFolder(dir); err == nil && !f.isCheckpoint() && ofExpert(filepath.Base(dir)) {
		dir = filepath.Dir(dir)
	}
	if f, err := readFolder(dir); err == nil && f.isCheckpoint() {
		return &Error{path, "checkpoint", "a file", "the folder of the model, such as " + dir}
	}
	return &Error{path, "checkpoint", "a file without weights", "the folder of the model, or a file of its weights"}
}

// isCheckpoint reports whether a folder looks like a checkpoint, whole or not: an expert or a
// causal model's folder is in it, or what names the parts of a model, or a causal model and what it takes besides.
func (f listing) isCheckpoint() bool {
	return slices.ContainsFunc(f.names, ofExpert) || f.find(PartsFile) != "" || f.find("model_index.json") != "" || slices.ContainsFunc(causalFolders(""), func(name string) bool { return f.find(name) != "" }) ||
		f.isModel() && hasAssets(f.path, len(assetWords))
}

// isModel reports whether a folder holds a model's files, which may be a causal model's.
func (f listing) isModel() bool {
	return slices.ContainsFunc(rootModels, func(name string) bool { return f.find(name) != "" })
}

// ofExpert reports whether a folder is called like an expert's, quantised or not.
func ofExpert(name string) bool {
	name = strings.ToLower(name)
	return strings.HasPrefix(name, HighNoise) || strings.HasPrefix(name, LowNoise)
}

// mostFolders bounds the folders that are looked into for a checkpoint.
const mostFolders = 200

// checkpoints returns the checkpoints in the folders of a folder.
func (f listing) checkpoints() (found []string) {
	if snapshot := f.snapshot(); snapshot != "" {
		return []string{snapshot}
	}
	for _, name := range f.names[:min(mostFolders, len(f.names))] {
		inner, err := readFolder(filepath.Join(f.path, name))
		switch {
		case err != nil:
		case inner.isCheckpoint():
			found = append(found, inner.path)
		case inner.snapshot() != "":
			found = append(found, inner.snapshot())
		case len(f.names) == 1 || strings.EqualFold(name, "hub"): // an archive's folder in a folder, Hugging Face's cache
			found = append(found, inner.checkpoints()...)
		}
	}
	return found
}

// snapshot returns the folder of the checkpoint in a repository of Hugging Face's cache: the
// revision that its refs call main, or the only one. "" if this is no such repository.
func (f listing) snapshot() string {
	snapshots, err := readFolder(filepath.Join(f.path, "snapshots"))
	if err != nil {
		return ""
	}
	if main, err := readSmall(filepath.Join(f.path, "refs", "main"), 1<<10); err == nil {
		if path := snapshots.find(strings.TrimSpace(string(main))); path != "" && IsCheckpoint(path) {
			return path
		}
	}
	var found []string
	for _, name := range snapshots.names {
		if path := filepath.Join(snapshots.path, name); IsCheckpoint(path) {
			found = append(found, path)
		}
	}
	if len(found) != 1 {
		return ""
	}
	return found[0]
}

// IsCheckpoint reports whether the folder at path looks like a checkpoint, whole or not.
func IsCheckpoint(path string) bool {
	f, err := readFolder(path)
	return err == nil && (f.isCheckpoint() || f.isModel())
}

// absolute returns path from the root, so that it has a parent.
func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}
