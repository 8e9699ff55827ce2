package studio

import (
	"context"
	"errors"
	"image"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"gimbal/inference"
	"gimbal/inference/engine"
	"gimbal/inference/library"
	"gimbal/inference/picture"
)

// startChecks starts the checks that the inputs ask for. s.mu is held.
func (s *Studio) startChecks(n *Snapshot) {
	image, folder, path := n.Form.Inputs.Job.Image, n.Form.Inputs.Job.ActionPath, pathOf(n.Form.Inputs.Job)
	s.check("picture", image, immediate, func(context.Context) func(*Snapshot) { return s.readPicture(image) })
	s.check("camera", path, immediate, func(context.Context) func(*Snapshot) { return s.readCamera(path) })
	s.checkDevice(n)
	loras, there := n.Form.Inputs.Job.LoRAs, s.server(n)
	names, _ := s.inspected(n, s.usesDemo(n))
	of := [3]string{string(loras), there, strings.Join(names.model.LoRAs, "\n")}
	s.check("loras", of, immediate, func(context.Context) func(*Snapshot) {
		if there != "" {
			return s.findLoRAs(loras, names.model.LoRAs)
		}
		return s.readLoRAs(loras)
	})
	s.checkModel(n, true)
	s.checkModel(n, false)
	s.checkTokens(n)
	s.checkRecents(n)
	s.checkLibrary(n)
	s.checkStage(n)
	s.checkWalks()
	s.watcher.Keep(image, folder, s.folder(n, true), s.folder(n, false))
	s.checkRoom(n)
	s.checkSettings()
}

// fileChanged is told of changes to what is watched.
func (s *Studio) fileChanged(path string) {
	s.change(func(n *Snapshot) {
		if path == n.Form.Inputs.Job.Image {
			s.recheck("picture")
		}
		if path == n.Form.Inputs.Job.ActionPath {
			s.recheck("camera")
		}
		for _, demo := range []bool{true, false} {
			if path == s.folder(n, demo) {
				s.modelFilesChanged(n, demo)
			}
		}
	})
}

// modelFilesChanged looks at a model again, but not while a run may be writing quantised
// weights to its folder.
func (s *Studio) modelFilesChanged(n *Snapshot, demo bool) {
	if n.Here() {
		s.state.modelChanged = true
		return
	}
	s.recheck(modelCheck(demo))
}

// readPicture looks at the chosen picture.
func (s *Studio) readPicture(path string) func(n *Snapshot) {
	s.watcher.Add(path)
	found := Picture{Path: path}
	var wrong *Problem
	if path != "" {
		img, err := picture.Load(path)
		if err == nil {
			size := img.Bounds().Size()
			found.Width, found.Height, found.Thumb = size.X, size.Y, library.Shrink(img, ThumbSize)
		} else {
			code := pictureCode(err, PictureBad, PictureUnread)
			if gone(err) {
				code = PictureGone
			}
			p := problem(FieldPicture, Error, code, map[string]any{"Path": path, "Formats": strings.Join(picture.Formats(), ", ")}, err.Error())
			wrong = &p
		}
	}
	return func(n *Snapshot) {
		n.Form.Picture = found
		s.report("picture", wrong)
		if path != "" && wrong == nil {
			n.Recents = promote(n.Recents, Recent{Path: path, Thumb: found.Thumb})
		}
	}
}

// pictureCode returns how a picture that cannot be read is told of: bad, or whole but of a kind
// that is not read.
func pictureCode(err error, bad, unread Code) Code {
	if errors.As(err, new(picture.UnreadError)) {
		return unread
	}
	return bad
}

// gone reports whether err says that a file is not there.
func gone(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) }

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// readCamera looks at the chosen camera path, or makes it of keys.
func (s *Studio) readCamera(asked askedPath) func(n *Snapshot) {
	s.watcher.Add(asked.folder)
	path, err := asked.open()
	var wrong *Problem
	if err != nil {
		code := CameraBad
		if gone(err) && !exists(asked.folder) {
			code = CameraGone
		}
		p := problem(FieldCamera, Error, code, map[string]any{"Path": asked.folder}, err.Error())
		if errs := inference.SettingErrors(err); len(errs) > 0 {
			p = problem(FieldActions, Error, ActionsBad, nil, errs[0].Err.Error())
		}
		wrong = &p
	}
	return func(n *Snapshot) {
		s.state.path = loadedPath{of: asked, path: path}
		s.report("camera", wrong)
	}
}

// readLoRAs looks at those that are used. Whether they fit the model its plan says.
func (s *Studio) readLoRAs(loras inference.LoRAs) func(n *Snapshot) {
	var wrong *Problem
	for _, l := range loras.Used() {
		kind, _, err := engine.Classify(l.File)
		if wrong == nil && kind != engine.KindLoRA {
			details := ""
			if err != nil {
				details = err.Error()
			}
			p := problem(FieldLoRAs, Error, LoRABad, map[string]any{"Path": l.File}, details)
			wrong = &p
		}
	}
	return func(*Snapshot) { s.report("loras", wrong) }
}

// findLoRAs looks for those that are used among the names of a server's.
func (s *Studio) findLoRAs(loras inference.LoRAs, names []string) func(n *Snapshot) {
	var wrong *Problem
	for _, l := range loras.Used() {
		if name := filepath.Base(l.File); wrong == nil && !slices.Contains(names, name) {
			p := problem(FieldLoRAs, Error, LoRAElsewhere, map[string]any{"Name": name}, strings.Join(names, ", "))
			wrong = &p
		}
	}
	return func(*Snapshot) { s.report("loras", wrong) }
}

// maxRecents is how many pictures are remembered.
const maxRecents = 12

// promote puts r at the front of the recents.
func promote(recents []Recent, r Recent) []Recent {
	fresh := []Recent{r}
	for _, old := range recents {
		if old.Path != r.Path && len(fresh) < maxRecents {
			fresh = append(fresh, old)
		}
	}
	return fresh
}

// checkRecents loads the thumbnails that are missing, and drops pictures that are
// not there any more.
func (s *Studio) checkRecents(n *Snapshot) {
	var missing []string
	for _, r := range n.Recents {
		if r.Thumb == nil {
			missing = append(missing, r.Path)
		}
	}
	s.check("recents", strings.Join(missing, "\n"), immediate, func(ctx context.Context) func(*Snapshot) {
		thumbs := map[string]image.Image{}
		for _, path := range missing {
			if ctx.Err() != nil {
				break
			}
			if img, err := picture.Load(path); err == nil {
				thumbs[path] = library.Shrink(img, ThumbSize)
			}
		}
		return func(n *Snapshot) {
			var kept []Recent
			for _, r := range n.Recents {
				if r.Thumb == nil {
					r.Thumb = thumbs[r.Path]
				}
				if r.Thumb != nil || !slices.Contains(missing, r.Path) {
					kept = append(kept, r)
				}
			}
			n.Recents = kept
		}
	})
}
