package keyframes

import (
	"math"

	"gimbal/inference/clip"
)

// How far the path between the keys that Take chooses may be from the poses: a share of the
// whole way, and degrees.
const (
	placeTolerance = 0.004
	turnTolerance  = 0.4
)

// Take returns a path close to poses, one a frame, seen from the first of them, with as few
// keys as will do. intrinsics are those of each frame, or of all.
func Take(poses []clip.Pose, intrinsics []clip.Intrinsics) Path {
	keys := make([]Key, len(poses))
	way := 0.0
	for i := range poses {
		keys[i] = keyOf(relative(&poses[0], &poses[i]))
		keys[i].Frame = i
		keys[i].FOV = 2 * math.Atan(pictureWidth/2/intrinsics[min(i, len(intrinsics)-1)][0]) * 180 / math.Pi
		keys[i] = keys[i].sane()
		if i > 0 {
			keys[i].Heading = unwrapped(keys[i].Heading, keys[i-1].Heading)
			keys[i].Roll = unwrapped(keys[i].Roll, keys[i-1].Roll)
			way += keys[i].distance(keys[i-1])
		}
	}
	chosen := []Key{keys[0]}
	for from := 0; from < len(keys)-1; {
		to := farthest(keys, from, max(placeTolerance*way, 1e-9))
		chosen = append(chosen, keys[to])
		from = to
	}
	return Path{Keys: chosen}.withoutStops()
}

// farthest returns the last key to which the way from key from is straight.
func farthest(keys []Key, from int, tolerance float64) int {
	good, step := from+1, 1
	for { // double the way as long as it is straight, then look between
		to := min(from+2*step, len(keys)-1)
		if to == good || !straight(keys[from:to+1], tolerance) {
			break
		}
		good, step = to, 2*step
	}
	for low, high := good, min(from+2*step, len(keys)-1); low < high; {
		middle := (low + high + 1) / 2
		if straight(keys[from:middle+1], tolerance) {
			low, good = middle, middle
		} else {
			high = middle - 1
		}
	}
	return good
}

// straight reports whether all keys lie on the way from the first to the last of them.
func straight(keys []Key, tolerance float64) bool {
	p := Path{Keys: []Key{keys[0], keys[len(keys)-1]}}
	for _, k := range keys[1 : len(keys)-1] {
		at := p.At(float64(k.Frame))
		if at.distance(k) > tolerance || math.Abs(at.Heading-k.Heading) > turnTolerance || math.Abs(at.Pitch-k.Pitch) > turnTolerance ||
			math.Abs(at.Roll-k.Roll) > turnTolerance || math.Abs(at.FOV-k.FOV) > turnTolerance {
			return false
		}
	}
	return true
}

// withoutStops leaves the last key out where the camera stays for good.
func (p Path) withoutStops() Path {
	if n := len(p.Keys); n == 2 {
		k := p.Keys[1]
		k.Frame = p.Keys[0].Frame
		if k == p.Keys[0] {
			p.Keys = p.Keys[:1]
		}
	}
	return p
}

// TakePath is Take of the first frames of a camera path.
func TakePath(p *clip.Path, frames int) Path {
	poses := p.Poses()
	poses = poses[:min(len(poses), max(1, frames))]
	intrinsics := make([]clip.Intrinsics, len(poses))
	for i := range intrinsics {
		intrinsics[i] = p.IntrinsicsAt(i)
	}
	return Take(poses, intrinsics)
}

// keyOf returns the key of a pose.
func keyOf(p clip.Pose) Key {
	const degree = 180 / math.Pi
	return Key{
		X: p[0][3], Y: p[1][3], Z: p[2][3],
		Heading: math.Atan2(p[0][2], p[2][2]) * degree, Pitch: math.Asin(min(max(0-p[1][2], -1), 1)) * degree, Roll: math.Atan2(p[1][0], p[1][1]) * degree,
	}
}

func (k Key) distance(o Key) float64 {
	return math.Sqrt((k.X-o.X)*(k.X-o.X) + (k.Y-o.Y)*(k.Y-o.Y) + (k.Z-o.Z)*(k.Z-o.Z))
}

// unwrapped returns the angle that is the same direction and nearest to another.
func unwrapped(angle, near float64) float64 {
	return angle + 360*math.Round((near-angle)/360)
}

// relative returns b as seen from a: a's inverse times b.
func relative(a, b *clip.Pose) (r clip.Pose) {
	inverse := inverted(a)
	return times(&inverse, b)
}

// inverted returns the inverse of a rigid motion.
func inverted(p *clip.Pose) (q clip.Pose) {
	for i := range 3 {
		for j := range 3 {
			q[i][j] = p[j][i]
			q[i][3] -= p[j][i] * p[j][3]
		}
	}
	q[3][3] = 1
	return q
}

func times(a, b *clip.Pose) (c clip.Pose) {
	for i := range 4 {
		for j := range 4 {
			for k := range 4 {
				c[i][j] += a[i][k] * b[k][j]
			}
		}
	}
	return c
}
