package studio

import (
	"math"
	"slices"

	"gimbal/inference"
	"gimbal/inference/clip"
)

// Point is where the camera is at one latent frame, as the model sees it: relative
// to the first frame, in units of the longest step between two latent frames. Axes
// are x right, y down, z forward of the first frame's camera.
type Point struct {
	X, Y, Z float64
	// Forward is the direction in which the camera looks, of length 1.
	Forward [3]float64
}

// CameraPath is a camera path as the model sees it. The zero value is none.
type CameraPath struct {
	Name     string // of a built-in path; "" for none or a folder
	Folder   string // "" for none or a built-in path
	Actions  string // keys that make the path; "" for none
	Checking bool
	Poses    int         // in the folder; 0 if it cannot be read
	Frames   int         // of a video of the form's frames on this path
	Points   []Point     // one per latent frame; for a top view draw X and Z, for a side view Z and Y
	Scale    float64     // length of the longest step, in the path's units
	Legs     []clip.Leg  // where the camera goes, in a few parts
	Notes    []clip.Note // what is to be known of it
}

// Chosen reports whether there is a path.
func (c CameraPath) Chosen() bool { return c.Name != "" || c.Folder != "" || c.Actions != "" }

// describe says what the model sees of path in a video of frames. The speed of built-in
// paths is nobody's choice, so that nothing of it is lost.
func (c *CameraPath) describe(path *clip.Path, frames int) {
	frames = inference.Wan.Frames(inference.Wan.LatentFrames(max(1, frames))) // files may say anything
	motion := path.Motion(frames)
	c.Poses, c.Frames = path.Frames(), frames
	c.Points, c.Scale = points(motion), float64(motion.Scale)
	c.Legs = path.Legs(frames)
	if c.Name == "" {
		c.Notes = path.Notes(frames)
	}
	if c.Actions != "" { // whoever types keys knows that the path is theirs and has no lens
		c.Notes = slices.DeleteFunc(c.Notes, func(n clip.Note) bool {
			return n.About == clip.NoteFromKeys || n.About == clip.NoteIntrinsicsGuessed
		})
	}
}

// points returns the path of the latent frames as the model sees it.
func points(m clip.Motion) []Point {
	poses := m.Poses()
	all := make([]Point, len(poses))
	for i, p := range poses {
		all[i] = Point{
			X: float64(p[0][3]), Y: float64(p[1][3]), Z: float64(p[2][3]),
			Forward: [3]float64{float64(p[0][2]), float64(p[1][2]), float64(p[2][2])},
		}
	}
	return all
}

// BuiltinCameras returns the names of the built-in camera paths.
func BuiltinCameras() []string { return clip.BuiltinNames() }

// BuiltinCamera returns a built-in path as the model sees it in a video of frames.
func BuiltinCamera(name string, frames int) CameraPath {
	c := CameraPath{Name: name}
	if path, err := clip.Builtin(name, frames); err == nil {
		c.describe(path, frames)
	}
	return c
}

// At returns where the camera is at a frame of the video, between the points.
func (c CameraPath) At(frame float64) Point {
	if len(c.Points) == 0 {
		return Point{}
	}
	at := min(max(0, frame/float64(inference.Wan.FrameStride)), float64(len(c.Points)-1))
	i := min(int(at), max(0, len(c.Points)-2))
	a, b := c.Points[i], c.Points[min(i+1, len(c.Points)-1)]
	t := at - float64(i)
	p := Point{X: a.X + t*(b.X-a.X), Y: a.Y + t*(b.Y-a.Y), Z: a.Z + t*(b.Z-a.Z)}
	var length float64
	for k := range p.Forward {
		p.Forward[k] = a.Forward[k] + t*(b.Forward[k]-a.Forward[k])
		length += p.Forward[k] * p.Forward[k]
	}
	if length = math.Sqrt(length); length > 0 {
		for k := range p.Forward {
			p.Forward[k] /= length
		}
	}
	return p
}
