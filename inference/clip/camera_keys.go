package clip

import "math"

// How the reference moves a camera by keys (generate_and_save_trajectory).
const (
	keyTurn  = 2 * math.Pi / 180  // a frame
	maxPitch = 85 * math.Pi / 180 // up or down; a turn that would pass it is left out
	keyMove  = 0.05               // a frame, level, whatever the pitch
)

// posesOf returns the poses before, between and after the frames of keys: one more than
// frames, the first at the origin.
func posesOf(keys []Keys) []Pose {
	m := NewMover()
	poses := append(make([]Pose, 0, len(keys)+1), m.Pose())
	down := func(v float64) float64 {
		if v > pressed {
			return 1
		}
		return 0
	}
	for _, k := range keys {
		poses = append(poses, m.Move(Motions{
			Right: keyTurn * (down(k.Turn[3]) - down(k.Turn[1])), Up: keyTurn * (down(k.Turn[0]) - down(k.Turn[2])),
			Forward: keyMove * (down(k.Move[0]) - down(k.Move[2])), Side: keyMove * (down(k.Move[3]) - down(k.Move[1])),
		}))
	}
	return poses
}

func poseOf(r matrix3, at [3]float64) Pose {
	p := Pose{3: {3: 1}}
	for i := range 3 {
		copy(p[i][:3], r[i][:])
		p[i][3] = at[i]
	}
	return p
}

func turnX(angle float64) matrix3 {
	sin, cos := math.Sincos(angle)
	return matrix3{{1, 0, 0}, {0, cos, -sin}, {0, sin, cos}}
}

func turnY(angle float64) matrix3 {
	sin, cos := math.Sincos(angle)
	return matrix3{{cos, 0, sin}, {0, 1, 0}, {-sin, 0, cos}}
}

func mul3(a, b matrix3) (c matrix3) {
	for i := range 3 {
		for j := range 3 {
			c[i][j] = a[i][0]*b[0][j] + a[i][1]*b[1][j] + a[i][2]*b[2][j]
		}
	}
	return c
}
