package clip

import (
	"fmt"
	"math"
	"slices"

	"gimbal/inference"
)

// builtinIntrinsics see 80 degrees from left to right, as the reference's examples do.
var builtinIntrinsics = Intrinsics{500, 500, pictureWidth / 2, pictureHeight / 2}

// The built-in paths move by one unit a latent frame, so that nothing is lost when the
// model's conditioning is normalised, and turn no faster than real recordings.
const (
	orbitRadius     = 12.0                    // of the point ahead that an orbit looks at
	lookRate        = 1.0 * math.Pi / 180     // per frame
	lookAroundSwing = 25.0 * math.Pi / 180    // to either side
	lookAroundTurn  = 2 * math.Pi / (6 * 16.) // a whole swing in six seconds
)

// unitsPerFrame is a unit per latent frame.
var unitsPerFrame = 1 / float64(inference.Wan.FrameStride)

// builtins gives, for frame i, the camera's position and its heading, to the right, and the
// keys that an act model is told.
var builtins = []struct {
	name string
	keys WASD
	at   func(i float64) (x, y, z, heading float64)
}{
	{"still", WASD{}, func(i float64) (x, y, z, heading float64) { return 0, 0, 0, 0 }},
	{"forward", WASD{1}, func(i float64) (x, y, z, heading float64) { return 0, 0, i * unitsPerFrame, 0 }},
	{"backward", WASD{2: 1}, func(i float64) (x, y, z, heading float64) { return 0, 0, -i * unitsPerFrame, 0 }},
	{"strafe-left", WASD{1: 1}, func(i float64) (x, y, z, heading float64) { return -i * unitsPerFrame, 0, 0, 0 }},
	{"strafe-right", WASD{3: 1}, func(i float64) (x, y, z, heading float64) { return i * unitsPerFrame, 0, 0, 0 }},
	{"rise", WASD{}, func(i float64) (x, y, z, heading float64) { return 0, -i * unitsPerFrame, 0, 0 }},
	{"orbit-left", WASD{}, func(i float64) (x, y, z, heading float64) { return orbit(i) }},
	{"orbit-right", WASD{}, func(i float64) (x, y, z, heading float64) { return orbit(-i) }},
	{"look-left", WASD{}, func(i float64) (x, y, z, heading float64) { return 0, 0, 0, -i * lookRate }},
	{"look-right", WASD{}, func(i float64) (x, y, z, heading float64) { return 0, 0, 0, i * lookRate }},
	{"look-around", WASD{}, func(i float64) (x, y, z, heading float64) {
		return 0, 0, 0, lookAroundSwing * math.Sin(i*lookAroundTurn)
	}},
}

// orbit circles the point orbitRadius ahead, to the left, and keeps looking at it.
func orbit(i float64) (x, y, z, heading float64) {
	heading = i * unitsPerFrame / orbitRadius
	sin, cos := math.Sincos(heading)
	return -orbitRadius * sin, 0, orbitRadius * (1 - cos), heading
}

// BuiltinNames returns the names of the built-in paths.
func BuiltinNames() []string {
	names := make([]string, len(builtins))
	for i, b := range builtins {
		names[i] = b.name
	}
	return names
}

// Builtin returns a built-in path of the given number of poses. It starts at the
// origin, looking ahead.
func Builtin(name string, frames int) (*Path, error) {
	if frames < 1 || frames > maxPoses {
		return nil, fmt.Errorf("camera: a path of %d frames, expected 1 to %d", frames, maxPoses)
	}
	for _, b := range builtins {
		if b.name != name {
			continue
		}
		p := &Path{poses: make([]Pose, frames), intrinsics: make([]Intrinsics, frames), keys: slices.Repeat([]Keys{{Move: b.keys}}, frames)}
		for i := range p.poses {
			x, y, z, heading := b.at(float64(i))
			sin, cos := math.Sincos(heading)
			p.poses[i] = Pose{{cos, 0, sin, x}, {0, 1, 0, y}, {-sin, 0, cos, z}, {0, 0, 0, 1}}
			p.intrinsics[i] = builtinIntrinsics
		}
		return p, nil
	}
	return nil, fmt.Errorf("camera: no built-in path %q, expected one of %q", name, BuiltinNames())
}
