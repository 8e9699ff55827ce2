package live

import (
	"math"
	"testing"

	"gimbal/inference"
	"gimbal/inference/clip"
)

// TestSteer holds keys for a latent frame and looks where the camera is then.
func TestSteer(t *testing.T) {
	const near = 1e-5
	start := clip.StartWalk().Last()
	n := inference.Wan.FrameStride
	for name, c := range map[string]struct {
		in         Input
		x, z, turn float64 // to the right, ahead, to the right
	}{
		"still":     {Input{}, 0, 0, 0},
		"ahead":     {Input{Move: clip.WASD{1}}, 0, 1, 0},
		"back":      {Input{Move: clip.WASD{2: 1}}, 0, -1, 0},
		"left":      {Input{Move: clip.WASD{1: 1}}, -1, 0, 0},
		"right":     {Input{Move: clip.WASD{3: 1}}, 1, 0, 0},
		"both ways": {Input{Move: clip.WASD{1, 0, 1, 0}}, 0, 0, 0},
		"aslant":    {Input{Move: clip.WASD{1, 0, 0, 1}}, math.Sqrt2 / 2, math.Sqrt2 / 2, 0},
		"slow":      {Input{Move: clip.WASD{1}, Slow: true}, 0, 0.5, 0},
		"look left": {Input{Turn: clip.IJKL{1: 1}}, 0, 0, -8},
		"look slow": {Input{Turn: clip.IJKL{3: 1}, Slow: true}, 0, 0, 4},
		"drag":      {Input{Drag: [2]float64{6 * math.Pi / 180, 0}}, 0, 0, 6},
		"drag far":  {Input{Drag: [2]float64{-90 * math.Pi / 180, 0}}, 0, 0, -12},
	} {
		poses, keys := steer(start, c.in, n)
		if len(poses) != n || len(keys) != n || keys[0].Move != c.in.Move {
			t.Fatalf("%s: %d poses, keys %v", name, len(poses), keys)
		}
		p := poses[n-1]
		turn := math.Atan2(p[0][2], p[2][2]) * 180 / math.Pi
		if math.Abs(p[0][3]-c.x) > near || math.Abs(p[2][3]-c.z) > near || math.Abs(turn-c.turn) > near {
			t.Errorf("%s: at %.3f, %.3f, turned by %.3f degrees; want %.3f, %.3f, %.3f", name, p[0][3], p[2][3], turn, c.x, c.z, c.turn)
		}
	}
}

// TestSteerLong turns and moves for an hour: poses stay rigid, and nobody looks behind by
// looking up.
func TestSteerLong(t *testing.T) {
	at := clip.StartWalk()
	in := Input{Move: clip.WASD{1, 0, 0, 1}, Turn: clip.IJKL{1, 1}}
	for range 7200 {
		poses, keys := steer(at.Last(), in, 8)
		at = clip.StartWalk().Extend(poses, keys) // rounded as on disk
	}
	if _, err := clip.NewPath([]clip.Pose{at.Last()}, []clip.Intrinsics{{500, 500, 416, 240}}); err != nil {
		t.Error(err)
	}
	if pitch := math.Asin(-at.Last()[1][2]) * 180 / math.Pi; pitch < 80 || pitch > 85.1 {
		t.Errorf("looks up by %.1f degrees", pitch)
	}
}
