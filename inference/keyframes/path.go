package keyframes

import (
	"math"
	"slices"

	"gimbal/inference"
	"gimbal/inference/clip"
)

// Key is where a camera is at a frame of a video, and how it looks.
type Key struct {
	Frame   int     `json:"frame"`
	X       float64 `json:"x"`
	Y       float64 `json:"y"`
	Z       float64 `json:"z"`
	Heading float64 `json:"heading"`
	Pitch   float64 `json:"pitch"`
	Roll    float64 `json:"roll,omitempty"`
	FOV     float64 `json:"fov"`            // from left to right
	Ease    Ease    `json:"ease,omitempty"` // of the way to the next key
}

// The fields of view that a key may have, and the usual one: that of the reference's examples.
const (
	MinFOV, MaxFOV = 5.0, 150.0
	UsualFOV       = 79.52 // of 500 pixels of focal length in 832
)

// Intrinsics are in pixels of a picture of this size.
const pictureWidth, pictureHeight = 832, 480

// Path is a camera path through keys, in the order of their frames, no two of which are the
// same. Before the first and behind the last the camera stays.
type Path struct {
	Keys []Key `json:"keys"`
	// Round lays the way on a curve through the keys; otherwise it is straight between them.
	Round bool `json:"round,omitempty"`
	// Absolute tells the model the speed as it is: a step of a unit between two latent frames is
	// full speed, as in the built-in paths. Otherwise the path's longest step is.
	Absolute bool `json:"absolute,omitempty"`
}

// Scale is the length of a step that the model is told as 1, as a job has it; 0 for the longest.
func (p Path) Scale() float64 {
	if p.Absolute {
		return 1
	}
	return 0
}

// Start is the path that stays at the start.
func Start() Path { return Path{Keys: []Key{{FOV: UsualFOV}}} }

// Last returns the frame of the last key.
func (p Path) Last() int { return p.Keys[len(p.Keys)-1].Frame }

// At returns where the camera is at a frame, or between two.
func (p Path) At(frame float64) Key {
	i := p.before(frame)
	if i < 0 {
		return p.held(p.Keys[0], frame)
	}
	a := p.Keys[i]
	if i == len(p.Keys)-1 {
		return p.held(a, frame)
	}
	b := p.Keys[i+1]
	t := (frame - float64(a.Frame)) / float64(b.Frame-a.Frame)
	u := a.Ease.at(t)
	mix := func(a, b float64) float64 { return a + u*(b-a) }
	k := Key{
		Frame: int(math.Round(frame)), X: mix(a.X, b.X), Y: mix(a.Y, b.Y), Z: mix(a.Z, b.Z),
		Heading: mix(a.Heading, b.Heading), Pitch: mix(a.Pitch, b.Pitch), Roll: mix(a.Roll, b.Roll), FOV: mix(a.FOV, b.FOV), Ease: a.Ease,
	}
	if p.Round {
		k.X, k.Y, k.Z = p.curve(i, u)
	}
	return k
}

// before returns the last key at or before a frame, -1 for none.
func (p Path) before(frame float64) int {
	i, _ := slices.BinarySearchFunc(p.Keys, frame, func(k Key, f float64) int {
		if float64(k.Frame) <= f {
			return -1
		}
		return 1
	})
	return i - 1
}

func (p Path) held(k Key, frame float64) Key {
	k.Frame = int(math.Round(frame))
	return k
}

// curve returns the position the part u of the way from key i to the next, on a cubic Hermite
// curve whose tangents are those of Catmull and Rom, by the keys' frames.
func (p Path) curve(i int, u float64) (x, y, z float64) {
	last := len(p.Keys) - 1
	a, b := p.Keys[i], p.Keys[i+1]
	span := float64(b.Frame - a.Frame)
	one := func(of func(Key) float64) float64 {
		slope := func(i int) float64 {
			from, to := p.Keys[max(i-1, 0)], p.Keys[min(i+1, last)]
			return (of(to) - of(from)) / float64(to.Frame-from.Frame) * span
		}
		u2, u3 := u*u, u*u*u
		return (2*u3-3*u2+1)*of(a) + (u3-2*u2+u)*slope(i) + (3*u2-2*u3)*of(b) + (u3-u2)*slope(i+1)
	}
	return one(func(k Key) float64 { return k.X }), one(func(k Key) float64 { return k.Y }), one(func(k Key) float64 { return k.Z })
}

// Pose is the key's, from the camera to the world.
func (k Key) Pose() clip.Pose {
	const degree = math.Pi / 180
	sh, ch := math.Sincos(k.Heading * degree)
	sp, cp := math.Sincos(k.Pitch * degree)
	sr, cr := math.Sincos(k.Roll * degree)
	// About y by the heading, times about x by the pitch, times about z by the roll.
	return clip.Pose{
		{ch*cr + sh*sp*sr, sh*sp*cr - ch*sr, sh * cp, k.X},
		{cp * sr, cp * cr, -sp, k.Y},
		{ch*sp*sr - sh*cr, sh*sr + ch*sp*cr, ch * cp, k.Z},
		{0, 0, 0, 1},
	}
}

// Intrinsics are those of the key's field of view.
func (k Key) Intrinsics() clip.Intrinsics {
	focal := pictureWidth / 2 / math.Tan(k.FOV*math.Pi/360)
	return clip.Intrinsics{focal, focal, pictureWidth / 2, pictureHeight / 2}
}

// Clip returns the path of a video of so many frames, with the intrinsics of each where the
// field of view changes.
func (p Path) Clip(frames int) (*clip.Path, error) {
	poses, intrinsics := make([]clip.Pose, frames), make([]clip.Intrinsics, frames)
	for i := range poses {
		k := p.At(float64(i))
		poses[i], intrinsics[i] = k.Pose(), k.Intrinsics()
	}
	return clip.NewPath(poses, intrinsics)
}

// Zooms reports whether the field of view changes.
func (p Path) Zooms() bool {
	return slices.ContainsFunc(p.Keys, func(k Key) bool { return k.FOV != p.Keys[0].FOV })
}

// latent returns the frames of a video that latent frames stand for.
func latent(frames int) []int {
	all := make([]int, inference.Wan.LatentFrames(frames))
	for i := range all {
		all[i] = i * inference.Wan.FrameStride
	}
	return all
}
