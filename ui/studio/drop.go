package studio

import (
	"bytes"
	"image"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/renameio/v2"

	"gimbal/inference/library"
	"gimbal/inference/picture"
	"gimbal/inference/weights"
)

// kind says what a dropped path is.
type kind int

const (
	unknown kind = iota
	aPicture
	aCamera
	aModel
	aRun // a video, contact sheet, sidecar or run folder of the library
)

// dropped is a path that was dropped, as far as it is understood.
type dropped struct {
	kind kind
	path string // of the action folder, where a file in it was dropped
	run  library.ID
	why  string // it is unknown
}

// Drop takes files and folders that were dropped, opened from the Finder or pasted
// as paths (file:// addresses too): pictures, action folders or a file in one, a
// model folder, a video or sidecar that Gimbal made. A notice explains the others.
func (s *Studio) Drop(paths []string) {
	s.background(func() {
		var all []dropped
		for _, path := range paths {
			all = append(all, s.classify(absolute(fromURL(path))))
		}
		s.touch(func(n *Snapshot) { s.take(n, all) })
	})
}

// take puts what was dropped where it belongs. s.mu is held.
func (s *Studio) take(n *Snapshot, all []dropped) {
	of := map[kind][]string{}
	for _, d := range all {
		of[d.kind] = append(of[d.kind], d.path)
		switch d.kind {
		case unknown:
			s.notice(n, Warning, DroppedUnknown, map[string]any{"Path": d.path}, d.why)
		case aRun:
			e, _ := s.lib.Get(d.run)
			s.show(n, e)
		}
	}
	if pictures := of[aPicture]; len(pictures) > 0 {
		for _, path := range pictures[1:] {
			n.Recents = promote(n.Recents, Recent{Path: path})
		}
		s.fillOne(n, FieldPicture, func(in *Inputs) { in.Picture = pictures[0] })
		s.tellOthers(n, DroppedPictures, pictures)
	}
	if cameras := of[aCamera]; len(cameras) > 0 {
		s.fillOne(n, FieldCamera, func(in *Inputs) { in.Camera = Camera{Kind: CameraFolder, Folder: cameras[0]} })
		s.tellOthers(n, DroppedCameras, cameras)
	}
	for _, path := range of[aModel] {
		s.useModel(n, path)
		s.notice(n, Info, DroppedModel, map[string]any{"Path": path}, "")
	}
}

// fillOne changes one field otherwise than by typing; what is typed elsewhere stays.
func (s *Studio) fillOne(n *Snapshot, field Field, f func(in *Inputs)) {
	f(&n.Form.Inputs)
	n.Form.Revision++
	n.Form.typed = without(n.Form.typed, field)
	delete(s.facts.typed, field)
	delete(s.facts.after, field)
}

// tellOthers says which of several things was used.
func (s *Studio) tellOthers(n *Snapshot, code Code, paths []string) {
	if len(paths) < 2 {
		return
	}
	var others []string
	for _, path := range paths[1:] {
		others = append(others, filepath.Base(path))
	}
	s.notice(n, Info, code, map[string]any{"Used": filepath.Base(paths[0]), "Others": strings.Join(others, ", ")}, "")
}

// fromURL returns the path that a file:// address names, and other text as it is.
func fromURL(text string) string {
	text = strings.TrimSpace(text)
	if u, err := url.Parse(text); err == nil && u.Scheme == "file" {
		return u.Path
	}
	return text
}

// classify finds out what is at path.
func (s *Studio) classify(path string) dropped {
	info, err := os.Stat(path)
	if err != nil {
		return dropped{path: path, why: err.Error()}
	}
	if id, ok := s.madeBy(path); ok {
		return dropped{kind: aRun, path: path, run: id}
	}
	if info.IsDir() {
		return classifyFolder(path)
	}
	if strings.EqualFold(filepath.Ext(path), ".npy") {
		return classifyFolder(filepath.Dir(path))
	}
	if err := picturePeek(path); err != nil {
		return dropped{path: path, why: "Found a file that is no picture: " + err.Error() +
			"\nDrop a picture (PNG, JPEG, WebP, BMP, TIFF or GIF), a camera folder with poses.npy and intrinsics.npy, or a model folder."}
	}
	return dropped{kind: aPicture, path: path}
}

// picturePeek reads as much of a file as tells whether it is a picture.
func picturePeek(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, _, err = image.DecodeConfig(f) // package picture registers the formats
	return err
}

func classifyFolder(path string) dropped {
	for _, name := range append([]string{"action.npy"}, cameraFiles...) {
		if exists(filepath.Join(path, name)) {
			return dropped{kind: aCamera, path: path}
		}
	}
	if isModel(path) {
		return dropped{kind: aModel, path: path}
	}
	if above := filepath.Dir(path); strings.HasPrefix(filepath.Base(path), weights.HighNoise) || strings.HasPrefix(filepath.Base(path), weights.LowNoise) {
		return dropped{path: path, why: "This is one part of a model. Drop the folder that holds all of them: " + above}
	}
	found := "nothing"
	if entries, err := os.ReadDir(path); err == nil && len(entries) > 0 {
		var names []string
		for _, e := range entries[:min(len(entries), 8)] {
			names = append(names, e.Name())
		}
		found = strings.Join(names, ", ")
	}
	return dropped{path: path, why: "Found a folder with " + found +
		".\nA camera folder holds poses.npy and intrinsics.npy; a model folder holds high_noise_model, low_noise_model, the text encoder and the VAE."}
}

// isModel reports whether the folder looks like a checkpoint, whole or not.
func isModel(path string) bool {
	for _, expert := range []string{weights.HighNoise, weights.LowNoise} {
		if found, err := filepath.Glob(filepath.Join(escape(path), expert+"*")); err == nil && len(found) > 0 {
			return true
		}
	}
	return false
}

// escape makes path mean itself to filepath.Glob.
func escape(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// madeBy returns the library's run that path is a file of.
func (s *Studio) madeBy(path string) (library.ID, bool) {
	for _, e := range s.lib.Search("") {
		for _, own := range []string{e.Video, e.Sidecar, e.ContactSheet, e.RunDir} {
			if own != "" && own == path {
				return e.ID, true
			}
		}
	}
	return "", false
}

// PastePicture chooses a picture that is not a file: data in any of the formats of
// package picture. It is kept in Options.Dir.
func (s *Studio) PastePicture(data []byte) {
	data = bytes.Clone(data)
	s.chores.add(func() {
		path, err := s.keepPasted(data)
		s.touch(func(n *Snapshot) {
			if err != nil {
				s.notice(n, Warning, PastedBad, nil, err.Error())
				return
			}
			s.fillOne(n, FieldPicture, func(in *Inputs) { in.Picture = path })
		})
	})
}

func (s *Studio) keepPasted(data []byte) (string, error) {
	if _, err := picture.Decode(data); err != nil {
		return "", err
	}
	dir := filepath.Join(s.o.Dir, "pasted")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	path := filepath.Join(dir, "Pasted "+time.Now().Format("2006-01-02 15.04.05.000")+".png")
	return path, renameio.WriteFile(path, data, 0o644)
}
