package clip

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

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

// Path is a camera path, one pose per frame. It does not change.
type Path struct {
	poses      []Pose
	intrinsics []Intrinsics
}

// The files of an action folder.
const (
	posesFile      = "poses.npy"
	intrinsicsFile = "intrinsics.npy"
	actionFile     = "action.npy"
)

// PathFiles are the files of a camera path.
var PathFiles = []string{posesFile, intrinsicsFile}

// OpenPath reads the action folder dir: poses.npy, camera-to-world, [n,4,4], and
// intrinsics.npy, [m,4], float32 or float64. Errors name the file, what was found and
// what was expected.
func OpenPath(dir string) (*Path, error) {
	poses, err := readNPY(filepath.Join(dir, posesFile))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil, missing(dir, err)
	}
	if err != nil {
		return nil, fmt.Errorf("camera: %w", err)
	}
	intrinsics, err := readNPY(filepath.Join(dir, intrinsicsFile))
	if err != nil {
		return nil, fmt.Errorf("camera: %w", err)
	}
	p := &Path{}
	if p.poses, err = asPoses(poses); err != nil {
		return nil, fmt.Errorf("camera: %s: %w", filepath.Join(dir, posesFile), err)
	}
	if p.intrinsics, err = asIntrinsics(intrinsics); err != nil {
		return nil, fmt.Errorf("camera: %s: %w", filepath.Join(dir, intrinsicsFile), err)
	}
	return p, nil
}

// missing explains why dir has no poses.
func missing(dir string, err error) error {
	if _, statErr := os.Stat(filepath.Join(dir, actionFile)); statErr == nil {
		return fmt.Errorf("camera: %s holds %s, the keys of an 'act' checkpoint, which are not supported yet, and no %s: give a folder of %s and %s",
			dir, actionFile, posesFile, posesFile, intrinsicsFile)
	}
	return fmt.Errorf("camera: %w: expected a folder of %s [n,4,4] and %s [n,4]", err, posesFile, intrinsicsFile)
}

// NewPath returns the path of the given poses. Only the first of the intrinsics is used,
// as in the reference.
func NewPath(poses []Pose, intrinsics []Intrinsics) (*Path, error) {
	if err := errors.Join(checkPoses(poses), checkIntrinsics(intrinsics)); err != nil {
		return nil, fmt.Errorf("camera: %w", err)
	}
	return &Path{poses: slices.Clone(poses), intrinsics: slices.Clone(intrinsics)}, nil
}

func asPoses(a array) ([]Pose, error) {
	if len(a.shape) != 3 || a.shape[1] != 4 || a.shape[2] != 4 {
		return nil, fmt.Errorf("found the shape %v, expected [n 4 4]", a.shape)
	}
	poses := make([]Pose, a.shape[0])
	for i, v := range a.values {
		poses[i/16][i/4%4][i%4] = v
	}
	return poses, checkPoses(poses)
}

func asIntrinsics(a array) ([]Intrinsics, error) {
	if len(a.shape) != 2 || a.shape[1] != 4 {
		return nil, fmt.Errorf("found the shape %v, expected [n 4]: fx fy cx cy", a.shape)
	}
	intrinsics := make([]Intrinsics, a.shape[0])
	for i, v := range a.values {
		intrinsics[i/4][i%4] = v
	}
	return intrinsics, checkIntrinsics(intrinsics)
}

// Frames returns the number of poses.
func (p *Path) Frames() int { return len(p.poses) }

// EffectiveFrames implements Control: no more than the largest 4n+1 that the path has
// poses for.
func (p *Path) EffectiveFrames(requested int) int {
	return min(requested, inference.Wan.Frames(inference.Wan.LatentFrames(len(p.poses))))
}

// Poses returns the poses, one per frame.
func (p *Path) Poses() []Pose { return slices.Clone(p.poses) }

// Intrinsics returns the intrinsics that are used, the first ones.
func (p *Path) Intrinsics() Intrinsics { return p.intrinsics[0] }

// ZoomLost reports whether the intrinsics change along the path, which the model is
// not told.
func (p *Path) ZoomLost() bool {
	for _, k := range p.intrinsics {
		if k != p.intrinsics[0] {
			return true
		}
	}
	return false
}

// Write writes the path to the folder dir, which it makes if needed, as float32.
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
	for name, a := range map[string]array{posesFile: poses, intrinsicsFile: intrinsics} {
		if err := os.WriteFile(filepath.Join(dir, name), formatNPY(a), 0o666); err != nil {
			return fmt.Errorf("camera: %w", err)
		}
	}
	return nil
}
