package clip

import "slices"

// How a camera goes that is led by keys in real time: WalkMove and WalkTurn a picture, WalkSlow of
// that with Shift. A key turns as in the reference's action strings.
const (
	// WalkScale is the step between two latent frames that the model sees as 1: as in the
	// built-in paths.
	WalkScale = 1
	WalkMove  = WalkScale / 4.0 // four pictures a latent frame
	WalkTurn  = keyTurn         // radians
	WalkSlow  = 0.5
)

// StartWalk returns the path of a camera that has not moved yet: its first pose. It grows by
// Extend, and the model is told its steps as they are, not divided by the longest, which is
// not known yet.
func StartWalk() *Path {
	return &Path{poses: []Pose{NewMover().Pose()}, intrinsics: []Intrinsics{builtinIntrinsics}, keys: []Keys{{}}, scale: WalkScale}
}

// Extend returns the path with more poses, and for each the keys that led to it. Poses are
// rounded to float32, as Write keeps them.
func (p *Path) Extend(poses []Pose, keys []Keys) *Path {
	q := *p
	q.poses = append(slices.Clip(p.poses), poses...)
	for i := range poses {
		rounded := &q.poses[len(p.poses)+i]
		for r := range rounded {
			for c, v := range rounded[r] {
				rounded[r][c] = float64(float32(v))
			}
		}
	}
	q.keys = append(slices.Clip(p.keys), keys...)
	return &q
}

// Until returns the path of the first n poses.
func (p *Path) Until(n int) *Path {
	q := *p
	q.poses, q.keys = p.poses[:n], p.keys[:n]
	return &q
}

// Last returns the last pose.
func (p *Path) Last() Pose { return p.poses[len(p.poses)-1] }
