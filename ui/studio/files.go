package studio

import (
	"context"
	"errors"
	"image"
	"io/fs"
	"slices"
	"strings"
	"syscall"
	"time"

	"gimbal/inference/camera"
	"gimbal/inference/library"
	"gimbal/inference/picture"
)

// The delays of checks: what is typed is looked at when the typing pauses.
const (
	typing    = 150 * time.Millisecond
	planning  = 300 * time.Millisecond
	remember  = 500 * time.Millisecond
	immediate = 0
)

// follow starts the checks that the inputs ask for. s.mu is held.
func (s *Studio) follow() {
	n, in := &s.now, s.now.Form.Inputs
	s.look("picture", in.Picture, immediate, func(context.Context) func(*Snapshot) { return s.readPicture(in.Picture) })
	folder := in.Camera.Folder
	s.look("camera", in.Camera, immediate, func(context.Context) func(*Snapshot) { return s.readCamera(folder) })
	s.followModel(n)
	s.followTokens(n)
	s.followRecents(n)
	s.followLibrary(n)
	s.followStage(n)
	watched := [3]string{in.Picture, folder, s.checkpoint(n)}
	s.look("watch", watched, immediate, func(context.Context) func(*Snapshot) {
		s.watcher.Set(watched[:]...)
		return func(*Snapshot) {}
	})
	s.look("settings", s.fingerprint(), remember, func(context.Context) func(*Snapshot) {
		s.mu.Lock()
		stored := s.stored()
		s.mu.Unlock()
		err := s.saveSettings(stored)
		return func(n *Snapshot) {
			if err != nil {
				s.notice(n, Error, SaveFailed, map[string]any{"Path": s.settingsPath()}, err.Error())
			}
		}
	})
}

// fileChanged is told of changes to what is watched.
func (s *Studio) fileChanged(path string) {
	in := s.Snapshot().Form.Inputs
	switch path {
	case in.Picture:
		s.change(func(*Snapshot) { s.due("picture") })
	case in.Camera.Folder:
		s.change(func(*Snapshot) { s.due("camera") })
	default:
		s.modelChanged()
	}
}

// modelChanged looks at the model again, but not while a run may be writing quantised
// weights to its folder.
func (s *Studio) modelChanged() {
	s.change(func(n *Snapshot) {
		if s.facts.modelOld = n.Run.Active(); !s.facts.modelOld {
			s.due("model")
		}
	})
}

// readPicture looks at the chosen picture.
func (s *Studio) readPicture(path string) func(n *Snapshot) {
	found := Picture{Path: path}
	var wrong *Problem
	if path != "" {
		img, err := picture.Load(path)
		switch {
		case err == nil:
			size := img.Bounds().Size()
			found.Width, found.Height, found.Thumb = size.X, size.Y, library.Shrink(img, ThumbSize)
		case gone(err):
			p := problem(FieldPicture, Error, PictureGone, map[string]any{"Path": path}, err.Error())
			wrong = &p
		default:
			p := problem(FieldPicture, Error, PictureBad, map[string]any{"Path": path}, err.Error())
			wrong = &p
		}
	}
	return func(n *Snapshot) {
		n.Form.Picture = found
		s.find("picture", wrong)
		if path != "" && wrong == nil {
			n.Recents = promote(n.Recents, Recent{Path: path, Thumb: found.Thumb})
		}
	}
}

// gone reports whether err says that a file is not there.
func gone(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) }

// find notes what a check found wrong; nil for nothing.
func (s *Studio) find(check string, wrong *Problem) {
	if delete(s.facts.found, check); wrong != nil {
		s.facts.found[check] = *wrong
	}
}

// readCamera looks at the chosen action folder.
func (s *Studio) readCamera(folder string) func(n *Snapshot) {
	if folder == "" {
		return func(*Snapshot) {}
	}
	path, err := camera.Open(folder)
	var wrong *Problem
	if err != nil {
		code := CameraBad
		if gone(err) && !exists(folder) {
			code = CameraGone
		}
		p := problem(FieldCamera, Error, code, map[string]any{"Path": folder}, err.Error())
		wrong = &p
	}
	return func(n *Snapshot) {
		s.facts.path = loadedPath{folder: folder, path: path}
		s.find("camera", wrong)
	}
}

// mostRecents is how many pictures are remembered.
const mostRecents = 12

// promote puts r at the front of the recents.
func promote(recents []Recent, r Recent) []Recent {
	fresh := []Recent{r}
	for _, old := range recents {
		if old.Path != r.Path && len(fresh) < mostRecents {
			fresh = append(fresh, old)
		}
	}
	return fresh
}

// followRecents loads the thumbnails that are missing, and drops pictures that are
// not there any more.
func (s *Studio) followRecents(n *Snapshot) {
	var missing []string
	for _, r := range n.Recents {
		if r.Thumb == nil {
			missing = append(missing, r.Path)
		}
	}
	s.look("recents", strings.Join(missing, "\n"), immediate, func(ctx context.Context) func(*Snapshot) {
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
