package clip

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gimbal/inference"
)

// The files of an action folder, by the reference's names. With the ending .npz, poses and
// intrinsics are as ViPE writes them.
const (
	posesFile      = "poses.npy"
	intrinsicsFile = "intrinsics.npy"
	actionFile     = "action.npy"
	wasdFile       = "wasd_action.npy"
	ijklFile       = "ijkl_action.npy"
	vipePoses      = "poses.npz"
	vipeIntrinsics = "intrinsics.npz"
)

var actionFiles = []string{posesFile, intrinsicsFile, actionFile, wasdFile, ijklFile, vipePoses, vipeIntrinsics}

// The folders that ViPE writes poses and intrinsics to, a file NAME.npz for each video.
const vipePoseFolder, vipeIntrinsicsFolder = "pose", "intrinsics"

// ErrNoControl says that nothing at a path steers a clip.
var ErrNoControl = errors.New("found no camera path and no keys, expected a folder of " + posesFile + " [n,4,4] and " + intrinsicsFile + " [n,4], " +
	"of " + wasdFile + " and " + ijklFile + ", or ViPE's folders pose and intrinsics")

// Source says which files steer a clip.
type Source struct {
	// Path names the source: the folder of its files, or ViPE's file of poses.
	Path string
	// Files are its files by their names in an action folder: copies by these names in one
	// folder are the same source.
	Files map[string]string
}

// Find finds the files that steer a clip: in the action folder path, in ViPE's results
// there, beside the file path, or in the only such folder in the folder path. It wraps
// ErrNoControl if there are none.
func Find(path string) (Source, error) {
	info, err := os.Stat(path)
	if err != nil {
		if inference.IsAddress(path) {
			return Source{}, fmt.Errorf("%s: found an address, expected a folder or file on this machine: download it first", path)
		}
		if target, link := os.Readlink(path); link == nil {
			return Source{}, fmt.Errorf("%s: found a link to %s, which is not there (is its disk connected?)", path, target)
		}
		return Source{}, err
	}
	if !info.IsDir() {
		return beside(path)
	}
	for _, find := range []func(string) (Source, error){inFolder, inVipe, inside} {
		if s, err := find(path); !errors.Is(err, ErrNoControl) {
			return s, err
		}
	}
	return Source{}, fmt.Errorf("%s: %w", path, ErrNoControl)
}

// IsControl reports whether the folder dir itself holds what steers a clip.
func IsControl(dir string) bool {
	_, err := inFolder(dir)
	if errors.Is(err, ErrNoControl) {
		_, err = inVipe(dir)
	}
	return !errors.Is(err, ErrNoControl)
}

// beside finds the source that a file belongs to.
func beside(file string) (Source, error) {
	dir, name := filepath.Split(file)
	dir = filepath.Clean(dir)
	switch strings.ToLower(filepath.Ext(name)) {
	case ".npy":
		return inFolder(dir)
	case ".npz":
		switch folder := strings.ToLower(filepath.Base(dir)); {
		case folder == vipePoseFolder || folder == vipeIntrinsicsFolder:
			return vipe(filepath.Dir(dir), name)
		case slices.Contains(actionFiles, strings.ToLower(name)):
			return inFolder(dir)
		}
		return Source{Path: file, Files: map[string]string{vipePoses: file}}, nil
	}
	return Source{}, fmt.Errorf("%s: %w", file, ErrNoControl)
}

// inFolder finds an action folder's files, in letters of any case.
func inFolder(dir string) (Source, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return Source{}, err
	}
	s := Source{Path: dir, Files: map[string]string{}}
	for _, e := range entries {
		name := strings.ToLower(e.Name())
		if slices.Contains(actionFiles, name) && (s.Files[name] == "" || name == e.Name()) && !isDir(filepath.Join(dir, e.Name())) {
			s.Files[name] = filepath.Join(dir, e.Name())
		}
	}
	if len(s.Files) == 0 {
		return s, fmt.Errorf("%s: %w", dir, ErrNoControl)
	}
	return s, nil
}

// inVipe finds the poses of one video in ViPE's results, or in the folder pose of them.
func inVipe(dir string) (Source, error) {
	if base := strings.ToLower(filepath.Base(dir)); base == vipePoseFolder || base == vipeIntrinsicsFolder {
		dir = filepath.Dir(dir)
	}
	var names []string
	for _, e := range entries(filepath.Join(dir, vipePoseFolder)) {
		if name := e.Name(); strings.EqualFold(filepath.Ext(name), ".npz") && !strings.HasPrefix(name, ".") {
			names = append(names, name)
		}
	}
	switch len(names) {
	case 0:
		return Source{}, fmt.Errorf("%s: %w", dir, ErrNoControl)
	case 1:
		return vipe(dir, names[0])
	}
	return Source{}, fmt.Errorf("%s: found the camera paths of %d videos, %s, expected one: choose its file, such as %s",
		dir, len(names), some(names), filepath.Join(dir, vipePoseFolder, names[0]))
}

// vipe finds the files of the video name.npz in ViPE's results.
func vipe(dir, name string) (Source, error) {
	poses := filepath.Join(dir, vipePoseFolder, name)
	if _, err := os.Stat(poses); err != nil {
		return Source{}, err
	}
	s := Source{Path: poses, Files: map[string]string{vipePoses: poses}}
	if k := filepath.Join(dir, vipeIntrinsicsFolder, name); exists(k) {
		s.Files[vipeIntrinsics] = k
	}
	return s, nil
}

// maxInside is how many folders of a folder are looked at.
const maxInside = 256

// inside finds the only source in the folders of a folder.
func inside(dir string) (Source, error) {
	var found []Source
	var names []string
	for i, e := range entries(dir) {
		child := filepath.Join(dir, e.Name())
		if i == maxInside {
			break
		}
		if !isDir(child) || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		s, err := inFolder(child)
		if errors.Is(err, ErrNoControl) {
			s, err = inVipe(child)
		}
		if err == nil {
			found, names = append(found, s), append(names, e.Name())
		}
	}
	switch len(found) {
	case 0:
		return Source{}, fmt.Errorf("%s: %w", dir, ErrNoControl)
	case 1:
		return found[0], nil
	}
	return Source{}, fmt.Errorf("%s: found %d folders with camera paths, %s, expected one: choose it", dir, len(found), some(names))
}

// some lists the first of names.
func some(names []string) string {
	const most = 6
	text := strings.Join(names[:min(len(names), most)], ", ")
	if len(names) > most {
		text += " and more"
	}
	return text
}

// entries returns what is in a folder, nothing if it cannot be read.
func entries(dir string) []os.DirEntry {
	all, _ := os.ReadDir(dir)
	return all
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
