package studio

import (
	"bytes"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/renameio/v2"

	"gimbal/inference"
	"gimbal/inference/engine"
	"gimbal/inference/library"
	"gimbal/inference/picture"
)

// dropped is a path that was dropped, as far as it is understood.
type dropped struct {
	kind engine.Kind // "" for a run or an error
	path string      // of the action folder, where a file in it was dropped
	run  library.ID  // that made it; "" for none
	err  error       // why it cannot be used
}

// Drop takes files and folders that were dropped, opened from the Finder or pasted
// as paths (file:// addresses too): pictures, action folders or a file in one, a
// model folder or files of one, a video or sidecar that Gimbal made. A notice explains the others.
func (s *Studio) Drop(paths []string) {
	paths = slices.Clone(paths)
	s.serial.enqueue(func() { // parts join those that were dropped before; of two pictures the last is used
		var all []dropped
		for _, path := range paths {
			d := dropped{path: absolute(fromURL(path))}
			if id, ok := s.lib.MadeBy(d.path); ok && exists(d.path) {
				d.run = id
			} else {
				d.kind, d.path, d.err = engine.Classify(d.path)
			}
			all = append(all, d)
		}
		all = s.joinParts(all)
		s.userChange(func(n *Snapshot) { s.useDropped(n, all) })
	})
}

// joinParts makes one model of all parts of one that were dropped, and of what the model in
// use has besides.
func (s *Studio) joinParts(all []dropped) []dropped {
	var parts []string
	var rest []dropped
	for _, d := range all {
		if d.err == nil && (d.kind == engine.KindPart || d.kind == engine.KindCheckpoint && !isFolder(d.path)) {
			parts = append(parts, d.path)
		} else {
			rest = append(rest, d)
		}
	}
	if len(parts) == 0 || len(parts) == 1 && !slices.ContainsFunc(all, func(d dropped) bool { return d.kind == engine.KindPart }) {
		return all
	}
	path, err := engine.Join(filepath.Join(s.o.Dir, "models"), s.Snapshot().Settings.ModelFolder, parts)
	if err != nil {
		return append(rest, dropped{path: parts[0], err: err})
	}
	return append(rest, dropped{kind: engine.KindCheckpoint, path: path})
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// useDropped puts what was dropped where it belongs. s.mu is held.
func (s *Studio) useDropped(n *Snapshot, all []dropped) {
	of := map[engine.Kind][]string{}
	for _, d := range all {
		switch {
		case d.run != "":
			e, _ := s.lib.Get(d.run)
			s.show(n, e)
		case d.err != nil:
			s.notice(n, Warning, pictureCode(d.err, DroppedUnknown, DroppedUnread), map[string]any{"Path": d.path}, d.err.Error())
		default:
			of[d.kind] = append(of[d.kind], d.path)
		}
	}
	if pictures := of[engine.KindPicture]; len(pictures) > 0 {
		for _, path := range pictures[1:] {
			n.Recents = promote(n.Recents, Recent{Path: path})
		}
		s.fillOne(n, FieldPicture, func(in *Inputs) { in.Job.Image = pictures[0] })
		s.tellOthers(n, DroppedPictures, pictures)
	}
	if cameras := of[engine.KindCamera]; len(cameras) > 0 {
		s.forget(n, FieldActions)
		s.fillOne(n, FieldCamera, func(in *Inputs) { in.Camera, in.Job.ActionString, in.Job.ActionPath = "", "", cameras[0] })
		s.tellOthers(n, DroppedCameras, cameras)
	}
	if files := of[engine.KindLoRA]; len(files) > 0 {
		s.fillOne(n, FieldLoRAs, func(in *Inputs) {
			list := in.Job.LoRAs.List()
			for _, path := range files {
				list = append(list, inference.NewLoRA(path))
			}
			in.Job.LoRAs = inference.NewLoRAs(list...)
		})
	}
	for _, path := range of[engine.KindCheckpoint] {
		s.useModel(n, path)
		s.notice(n, Info, DroppedModel, map[string]any{"Path": path}, "")
	}
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

// PastePicture chooses a picture that is not a file: data in any of the formats of
// package picture. It is kept in Options.Dir.
func (s *Studio) PastePicture(data []byte) {
	data = bytes.Clone(data)
	s.serial.enqueue(func() {
		path, err := s.savePasted(data)
		s.userChange(func(n *Snapshot) {
			if err != nil {
				s.notice(n, Warning, pictureCode(err, PastedBad, PastedUnread), nil, err.Error())
				return
			}
			s.fillOne(n, FieldPicture, func(in *Inputs) { in.Job.Image = path })
		})
	})
}

func (s *Studio) savePasted(data []byte) (string, error) {
	if _, err := picture.Decode(data); err != nil {
		return "", err
	}
	dir := filepath.Join(s.o.Dir, "pasted")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	path := filepath.Join(dir, "Pasted "+time.Now().Format("2006-01-02 15.04.05.000")+"."+picture.Extension(data))
	return path, renameio.WriteFile(path, data, 0o644)
}
