package clip

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"gimbal/inference"
)

// Intrinsics are in pixels of a picture of this size, the reference's.
const (
	pictureHeight = 480
	pictureWidth  = 832
)

// Pose takes points from the camera to the world: a rotation, a translation in the
// last column, and 0 0 0 1. Axes are OpenCV's: x right, y down, z forward.
type Pose [4][4]float64

// Intrinsics is fx, fy, cx, cy in pixels of a picture 832 wide and 480 high.
type Intrinsics [4]float64

// Path is a camera path, one pose per frame, with the keys that were pressed along it where
// they are known. A path that is made of keys has a pose before the first frame and after
// each. It does not change.
type Path struct {
	poses      []Pose
	intrinsics []Intrinsics
	keys       []Keys
	fromKeys   bool
	perFrame   bool    // the model is told the intrinsics of every frame, not only the first
	scale      float32 // the step that the model sees as 1; 0 for the longest
	notes      []Note
}

func (p *Path) note(about NoteAbout, args map[string]any, format string, values ...any) {
	p.notes = append(p.notes, Note{about, args, fmt.Sprintf(format, values...)})
}

// NewPath returns the path of the given poses, with intrinsics for each or one for all.
func NewPath(poses []Pose, intrinsics []Intrinsics) (*Path, error) {
	err := checkPoses(poses)
	if n := len(intrinsics); n == 0 || n != 1 && n != len(poses) {
		err = errors.Join(err, fmt.Errorf("found %d intrinsics for %d poses, expected as many, or one for all", n, len(poses)))
	}
	for i, k := range intrinsics {
		if wrong := checkIntrinsics(k); wrong != nil {
			err = errors.Join(err, fmt.Errorf("intrinsics %d: %w", i, wrong))
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("camera: %w", err)
	}
	if len(intrinsics) == 1 {
		intrinsics = slices.Repeat(intrinsics, len(poses))
	}
	return &Path{poses: slices.Clone(poses), intrinsics: slices.Clone(intrinsics)}, nil
}

// Frames returns the number of frames that the path has poses for.
func (p *Path) Frames() int {
	if p.fromKeys {
		return len(p.keys)
	}
	return len(p.poses)
}

// EffectiveFrames implements Control: no more than the largest 4n+1 that the path has
// poses for.
func (p *Path) EffectiveFrames(requested int) int {
	return min(requested, inference.Wan.Frames(inference.Wan.LatentFrames(p.Frames())))
}

// Check implements Control.
func (p *Path) Check(channels, frames int) error {
	switch channels {
	case CameraChannels:
	case ActChannels:
		if p.keys == nil {
			return fmt.Errorf("found a camera path without keys, expected %s [n,4] beside it: the checkpoint is an act one and reads the keys W, A, S and D", actionFile)
		}
		if last := inference.Wan.Frames(inference.Wan.LatentFrames(frames)); len(p.keys) < last {
			return fmt.Errorf("found the keys of %d frames in %s, expected those of %d: as many as there are poses", len(p.keys), actionFile, last)
		}
	default:
		return fmt.Errorf("found a model that reads %d channels of a control, expected %d (a camera's rays) or %d (rays and keys)", channels, CameraChannels, ActChannels)
	}
	if !p.tellsZoom() {
		return nil
	}
	if len(p.intrinsics) < frames {
		return fmt.Errorf("found the intrinsics of %d frames, expected those of %d, one for every pose, or a single one: a zoom is told frame by frame", len(p.intrinsics), frames)
	}
	for i, k := range p.intrinsics[:frames] {
		if err := checkIntrinsics(k); err != nil {
			return fmt.Errorf("intrinsics of frame %d: %w", i, err)
		}
	}
	return nil
}

// used returns how many poses the first frames take.
func (p *Path) used(frames int) int {
	if p.fromKeys {
		return frames + 1
	}
	return frames
}

// tellsZoom reports whether the model is told intrinsics that change. As in the reference,
// those of a path of keys do not: they are of another time.
func (p *Path) tellsZoom() bool { return p.perFrame && !p.fromKeys && len(p.intrinsics) > 1 }

// Poses returns the poses.
func (p *Path) Poses() []Pose { return slices.Clone(p.poses) }

// Intrinsics returns the intrinsics that are used, the first ones.
func (p *Path) Intrinsics() Intrinsics { return p.intrinsics[0] }

// IntrinsicsAt returns those of a frame, as far as there are some for every one, and else the
// first ones.
func (p *Path) IntrinsicsAt(frame int) Intrinsics {
	if frame < 0 || frame >= len(p.intrinsics) {
		frame = 0
	}
	return p.intrinsics[frame]
}

// ZoomLost reports whether the intrinsics change along the path, which the model is
// not told.
func (p *Path) ZoomLost() bool {
	if p.tellsZoom() || p.fromKeys {
		return false
	}
	for _, k := range p.intrinsics {
		if k != p.intrinsics[0] {
			return true
		}
	}
	return false
}

// Write writes a path of poses to the folder dir, which it makes if needed, as float32.
func (p *Path) Write(dir string) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("camera: %w", err)
	}
	poses := array{shape: []int{len(p.poses), 4, 4}}
	for _, pose := range p.poses {
		for _, row := range pose {
			poses.values = append(poses.values, row[:]...)
		}
	}
	intrinsics := array{shape: []int{len(p.intrinsics), 4}}
	for _, k := range p.intrinsics {
		intrinsics.values = append(intrinsics.values, k[:]...)
	}
	files := map[string]array{posesFile: poses, intrinsicsFile: intrinsics}
	if p.keys != nil {
		keys := array{shape: []int{len(p.keys), len(WASD{})}}
		for _, k := range p.keys {
			keys.values = append(keys.values, k.Move[:]...)
		}
		files[actionFile] = keys
	}
	for name, a := range files {
		if err := os.WriteFile(filepath.Join(dir, name), formatNPY(a), 0o666); err != nil {
			return fmt.Errorf("camera: %w", err)
		}
	}
	return nil
}
