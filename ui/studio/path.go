package studio

import (
	"encoding/json"
	"errors"
	"image"
	"os"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2"

	"gimbal/inference"
	"gimbal/inference/clip"
	"gimbal/inference/keyframes"
	"gimbal/inference/library"
	"gimbal/inference/output"
	"gimbal/inference/picture"
)

// keysFile holds the key frames of an action folder that the editor wrote.
const keysFile = "keyframes.json"

// EditablePath returns the form's camera path for the editor, in key frames, and the frames of
// the video.
func (s *Studio) EditablePath() (p keyframes.Path, frames int) {
	s.mu.Lock()
	n := s.now
	loaded := s.state.path
	s.mu.Unlock()
	job := n.Form.Inputs.Job
	frames = inference.Wan.Frames(inference.Wan.LatentFrames(max(1, job.Frames)))
	switch {
	case n.Form.Inputs.Camera != "":
		if path, err := clip.Builtin(n.Form.Inputs.Camera, frames); err == nil {
			return keyframes.TakePath(path, frames), frames
		}
	case job.ActionPath != "":
		if p, err := readKeys(job.ActionPath); err == nil && job.ActionString == "" {
			return p, frames
		}
	}
	if loaded.of == pathOf(job) && loaded.path != nil {
		return keyframes.TakePath(loaded.path, frames), frames
	}
	return keyframes.Start(), frames
}

// readKeys reads the key frames of a folder.
func readKeys(folder string) (p keyframes.Path, err error) {
	text, err := os.ReadFile(filepath.Join(folder, keysFile))
	if err == nil {
		err = json.Unmarshal(text, &p)
	}
	if err == nil {
		err = p.Check()
	}
	return p, err
}

// writePath writes a path as an action folder, with its key frames.
func writePath(folder string, p keyframes.Path, frames int) error {
	path, err := p.Clip(max(frames, p.Last()+1))
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(p, "", " ")
	if err != nil {
		return err
	}
	return errors.Join(path.Write(folder), renameio.WriteFile(filepath.Join(folder, keysFile), text, 0o644))
}

// UsePath makes an edited path the form's: as an action folder of the program's own, so that
// it goes the way of every other.
func (s *Studio) UsePath(p keyframes.Path) { s.usePath(p, func() {}) }

// GenerateOn is UsePath and Generate, unless the path cannot be kept.
func (s *Studio) GenerateOn(p keyframes.Path) { s.usePath(p, s.Generate) }

func (s *Studio) usePath(p keyframes.Path, then func()) {
	s.serial.enqueue(func() {
		_, frames := s.EditablePath()
		folder := filepath.Join(s.o.Dir, "paths", "Path "+time.Now().Format("2006-01-02 15.04.05.000"))
		err := writePath(folder, p, frames)
		s.userChange(func(n *Snapshot) {
			if err != nil {
				s.notice(n, Error, SaveFailed, map[string]any{"Path": folder}, err.Error())
				return
			}
			s.forget(n, FieldActions)
			s.fillOne(n, FieldCamera, func(in *Inputs) {
				in.Camera, in.Job.ActionString, in.Job.ActionPath = "", "", folder
				in.Job.CameraScale = p.Scale()
				in.Job.AllowAct2Cam, in.Job.PerFrameIntrinsics = false, in.Job.PerFrameIntrinsics || p.Zooms()
			})
		})
		if err == nil {
			then()
		}
	})
}

// ExportPath writes a path as an action folder, which must not be there or be empty.
func (s *Studio) ExportPath(p keyframes.Path, folder string) {
	s.serial.enqueue(func() {
		_, frames := s.EditablePath()
		folder := absolute(folder)
		err := output.CheckEmpty(folder)
		if err == nil {
			err = writePath(folder, p, frames)
		}
		s.change(func(n *Snapshot) {
			if err != nil {
				s.notice(n, Error, ExportFailed, map[string]any{"Path": folder}, err.Error())
				return
			}
			s.notice(n, Info, Exported, map[string]any{"Path": folder}, "")
		})
	})
}

// Recording is a camera path that was read, before anyone knows by which convention.
type Recording struct {
	Poses      []clip.Pose
	Intrinsics []clip.Intrinsics
	Keys       *keyframes.Path // where the editor wrote it
}

// ReadPath reads an action folder, ViPE's results or a file of poses.
func (s *Studio) ReadPath(path string) (r Recording, err error) {
	path = absolute(path)
	if p, err := readKeys(path); err == nil {
		r.Keys = &p
	}
	found, err := clip.OpenPath(path)
	if err != nil {
		return r, err
	}
	r.Poses = found.Poses()[:found.Frames()]
	for i := range r.Poses {
		r.Intrinsics = append(r.Intrinsics, found.IntrinsicsAt(i))
	}
	return r, nil
}

// As returns the recording as a path, by a convention.
func (r Recording) As(c keyframes.Convention) keyframes.Path {
	if r.Keys != nil && c == (keyframes.Convention{}) {
		return *r.Keys
	}
	return keyframes.Take(c.Poses(r.Poses), r.Intrinsics)
}

// ActionsPath returns the path of an action string.
func (s *Studio) ActionsPath(actions string) (keyframes.Path, error) {
	if _, err := clip.ParseActions(actions); err != nil {
		return keyframes.Path{}, err
	}
	path, err := clip.OpenJob(inference.Job{ActionString: actions})
	if err != nil {
		return keyframes.Path{}, err
	}
	return keyframes.TakePath(path, path.Frames()), nil
}

// Moves returns the built-in paths as moves of so many frames, by name.
func Moves(frames int) map[string]keyframes.Path {
	moves := map[string]keyframes.Path{}
	for _, name := range clip.BuiltinNames() {
		if path, err := clip.Builtin(name, frames); err == nil {
			moves[name] = keyframes.TakePath(path, frames)
		}
	}
	return moves
}

// PointsOf returns a path as a plot shows it.
func PointsOf(p keyframes.Path, frames int) []Point {
	var points []Point
	for i := range inference.Wan.LatentFrames(frames) {
		pose := p.At(float64(i * inference.Wan.FrameStride)).Pose()
		points = append(points, Point{X: pose[0][3], Y: pose[1][3], Z: pose[2][3], Forward: [3]float64{pose[0][2], pose[1][2], pose[2][2]}})
	}
	return points
}

// EditorPicture returns the form's picture as large as the editor may show it; nil for none.
func (s *Studio) EditorPicture() image.Image {
	const most = 1200 // pixels
	path := s.Snapshot().Form.Picture.Path
	if path == "" {
		return nil
	}
	img, err := picture.Load(path)
	if err != nil {
		return nil // the form says so
	}
	return library.Shrink(img, most)
}
