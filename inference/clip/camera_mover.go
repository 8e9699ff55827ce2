package clip

import "math"

// Mover moves a camera as the reference does by keys: it turns about the world's vertical and
// about its own horizontal axis, and then moves level, whatever its pitch.
type Mover struct {
	r     matrix3
	at    [3]float64
	pitch float64
}

// Motions are what a camera does in one frame.
type Motions struct {
	Right, Up     float64 // turns in radians
	Forward, Side float64 // in units of the path; Side is to the right
}

// NewMover returns a camera at the origin that looks ahead.
func NewMover() *Mover { return &Mover{r: matrix3{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}} }

// MoverAt returns a camera at a pose without roll, as Pose gave it; what rounding did to its
// rotation is mended.
func MoverAt(p Pose) *Mover {
	pitch := math.Asin(max(-1, min(1, -p[1][2])))
	yaw := math.Atan2(p[0][2], p[2][2])
	return &Mover{r: mul3(turnY(yaw), turnX(pitch)), at: [3]float64{p[0][3], p[1][3], p[2][3]}, pitch: pitch}
}

// Pose is where the camera is.
func (m *Mover) Pose() Pose { return poseOf(m.r, m.at) }

// Move moves the camera and returns where it is then. A turn that would look up or down by
// more than 85 degrees is left out.
func (m *Mover) Move(by Motions) Pose {
	if math.Abs(m.pitch+by.Up) > maxPitch {
		by.Up = 0
	}
	m.pitch += by.Up
	m.r = mul3(mul3(turnY(by.Right), m.r), turnX(by.Up))
	for axis, much := range [3]float64{0: by.Side, 2: by.Forward} {
		length := math.Hypot(m.r[0][axis], m.r[2][axis]) + 1e-6
		m.at[0] += much * m.r[0][axis] / length
		m.at[2] += much * m.r[2][axis] / length
	}
	return m.Pose()
}
