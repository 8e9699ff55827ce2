package live

import (
	"math"

	"gimbal/inference/clip"
)

// Input is what a person does: the keys that are held, and how far the view was dragged.
type Input struct {
	Move clip.WASD `json:"move"` // 1 for a key that is held
	Turn clip.IJKL `json:"turn"`
	Slow bool      `json:"slow,omitempty"` // half as fast
	// Drag is how far the view is to turn besides, to the right and up, in radians.
	Drag [2]float64 `json:"drag,omitzero"`
}

// Still reports whether nothing is done.
func (in Input) Still() bool {
	return in.Move == clip.WASD{} && in.Turn == clip.IJKL{} && in.Drag == [2]float64{}
}

// With returns in and what was done in other too.
func (in Input) With(other Input) Input {
	for i := range in.Move {
		in.Move[i] = max(in.Move[i], other.Move[i])
		in.Turn[i] = max(in.Turn[i], other.Turn[i])
	}
	for i := range in.Drag {
		in.Drag[i] += other.Drag[i]
	}
	in.Slow = in.Slow || other.Slow
	return in
}

// mostDrag is how far the view is dragged in one picture: no faster than models have seen.
const mostDrag = 3 * math.Pi / 180

// steer returns the poses of n pictures after a pose, where in holds all the time, and the keys
// that lead to them. A step of the full speed between two latent frames is what models know as 1,
// so that two keys at once go no faster.
func steer(from clip.Pose, in Input, n int) ([]clip.Pose, []clip.Keys) {
	if n == 0 {
		return nil, nil
	}
	speed := 1.0
	if in.Slow {
		speed = clip.WalkSlow
	}
	forward, side := in.Move[0]-in.Move[2], in.Move[3]-in.Move[1]
	if length := math.Hypot(forward, side); length > 1 {
		forward, side = forward/length, side/length
	}
	drag := func(i int) float64 { return max(-mostDrag, min(mostDrag, in.Drag[i]/float64(n))) }
	by := clip.Motions{
		Right:   speed*clip.WalkTurn*(in.Turn[3]-in.Turn[1]) + drag(0),
		Up:      speed*clip.WalkTurn*(in.Turn[0]-in.Turn[2]) + drag(1),
		Forward: speed * clip.WalkMove * forward, Side: speed * clip.WalkMove * side,
	}
	m := clip.MoverAt(from)
	poses, keys := make([]clip.Pose, n), make([]clip.Keys, n)
	for i := range poses {
		poses[i], keys[i] = m.Move(by), clip.Keys{Move: in.Move, Turn: in.Turn}
	}
	return poses, keys
}
