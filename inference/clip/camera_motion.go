package clip

import (
	"fmt"
	"math"

	"gimbal/inference"
)

// Matrix is a rigid motion as Pose, in the model's precision.
type Matrix [4][4]float32

// Motion is what the model is told of where the camera goes.
type Motion struct {
	// Relative holds, for every latent frame, its pose relative to the latent frame
	// before, with translations divided by Scale; the first is the identity.
	Relative []Matrix
	// Scale is the longest translation between two latent frames, or what the job says, in
	// units of the path; 0 if the camera stays where it is.
	Scale float32
}

// Motion returns what the model is told of the first frames poses; frames is 4n+1 and
// at most EffectiveFrames.
func (p *Path) Motion(frames int) Motion {
	latent := inference.Wan.LatentFrames(frames)
	return relative(p.latentPoses(frames, latent), p.scale)
}

// motions returns the steps to the latent frames that are looked at. A path of a fixed scale
// has them without a look at the others.
func (p *Path) motions(v View) []Matrix {
	if p.scale == 0 {
		return relative(p.latentPoses(v.Frames, v.LatentFrames), 0).Relative[v.From:v.To]
	}
	before := min(v.From, 2) // the first pose and the one before
	poses := p.somePoses(v.Frames, v.LatentFrames, max(v.From-1, 0), v.To)
	if before == 2 {
		poses = append(p.somePoses(v.Frames, v.LatentFrames, 0, 1), poses...)
	}
	return relative(poses, p.scale).Relative[before:]
}

// SpeedLost reports whether the path moves at a speed that the model is not told: it
// sees the longest step between two latent frames as length 1.
func (p *Path) SpeedLost() bool {
	if p.scale > 0 {
		return false
	}
	scale := p.Motion(p.EffectiveFrames(len(p.poses))).Scale
	return scale > 0 && math.Abs(float64(scale)-1) > 0.01
}

// Poses chains the steps: the pose of every latent frame relative to the first, as the
// model sees them.
func (m Motion) Poses() []Matrix {
	poses := make([]Matrix, len(m.Relative))
	for i, step := range m.Relative {
		poses[i] = step
		if i > 0 {
			poses[i] = mul(&poses[i-1], &step)
		}
	}
	return poses
}

// latentPoses returns the pose of each of so many latent frames, evenly spread over the
// first frames poses, in float32. The reference interpolates positions linearly and
// rotations by slerp; 4n+1 frames in n+1 latent ones are the poses 0, 4, 8 and so on
// themselves. Like scipy, it takes the nearest true rotation.
func (p *Path) latentPoses(frames, latent int) []Matrix {
	return p.somePoses(frames, latent, 0, latent)
}

// somePoses is latentPoses of the latent frames from up to to.
func (p *Path) somePoses(frames, latent, from, to int) []Matrix {
	if most := p.EffectiveFrames(frames); frames < 1 || frames > most || latent < 1 || latent > inference.Wan.LatentFrames(frames) {
		panic(fmt.Sprintf("clip: %d latent frames for %d frames of a path of %d", latent, frames, p.Frames()))
	}
	poses := make([]Matrix, 0, to-from)
	for _, t := range spread(p.used(frames), latent)[from:to] {
		poses = append(poses, at(p.poses, t))
	}
	return poses
}

// spread returns n places from the first to the last of count, evenly, as numpy.linspace.
func spread(count, n int) []float64 {
	places := make([]float64, n)
	if n == 1 {
		return places
	}
	step := float64(count-1) / float64(n-1)
	for i := range places {
		places[i] = float64(i) * step
	}
	places[n-1] = float64(count - 1)
	return places
}

// at returns the pose at a place between poses, with a true rotation.
func at(poses []Pose, place float64) Matrix {
	i := int(place)
	pose := poses[i]
	if t := place - float64(i); t > 0 {
		pose = between(pose, poses[i+1], t)
	}
	r := rotation(&pose).orthonormal()
	m := identity
	for j := range 3 {
		m[j] = [4]float32{float32(r[j][0]), float32(r[j][1]), float32(r[j][2]), float32(pose[j][3])}
	}
	return m
}

// relative turns absolute poses into steps and scales them, by the longest unless scale is
// given, with the reference's detour by way of the first pose, for that rounds otherwise.
func relative(poses []Matrix, scale float32) Motion {
	origin := inverse(&poses[0])
	fromFirst := make([]Matrix, len(poses))
	for i := range poses {
		fromFirst[i] = mul(&origin, &poses[i])
	}
	fromFirst[0] = identity
	m := Motion{Relative: make([]Matrix, len(poses))}
	m.Relative[0] = identity
	for i := 1; i < len(poses); i++ {
		back := inverse(&fromFirst[i-1])
		step := mul(&back, &fromFirst[i])
		x, y, z := step[0][3], step[1][3], step[2][3]
		length := math.Sqrt(float64(float32(x*x) + float32(y*y) + float32(z*z)))
		m.Scale = max(m.Scale, float32(length))
		m.Relative[i] = step
	}
	if scale > 0 {
		m.Scale = scale
	}
	if m.Scale > 0 {
		for i := range m.Relative {
			for j := range 3 {
				m.Relative[i][j][3] /= m.Scale
			}
		}
	}
	return m
}

var identity = Matrix{{1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 1, 0}, {0, 0, 0, 1}}

// mul returns a·b, each sum rounded from left to right as torch does for small matrices.
func mul(a, b *Matrix) (c Matrix) {
	for i := range 4 {
		for j := range 4 {
			for k := range 4 {
				c[i][j] += float32(a[i][k] * b[k][j])
			}
		}
	}
	return c
}

// inverse returns the inverse of a rigid motion.
func inverse(m *Matrix) Matrix {
	inv := identity
	for i := range 3 {
		var t float32
		for k := range 3 {
			inv[i][k] = m[k][i]
			t += float32(m[k][i] * m[k][3])
		}
		inv[i][3] = -t
	}
	return inv
}

type matrix3 [3][3]float64

func rotation(p *Pose) (r matrix3) {
	for i := range 3 {
		copy(r[i][:], p[i][:3])
	}
	return r
}

func (r matrix3) det() float64 {
	c := r.cofactors()
	return r[0][0]*c[0][0] + r[0][1]*c[0][1] + r[0][2]*c[0][2]
}

// cofactors returns the matrix of cofactors: the inverse transposed, times the determinant.
func (r matrix3) cofactors() (c matrix3) {
	for i := range 3 {
		for j := range 3 {
			i1, i2, j1, j2 := (i+1)%3, (i+2)%3, (j+1)%3, (j+2)%3
			c[i][j] = r[i1][j1]*r[i2][j2] - r[i1][j2]*r[i2][j1]
		}
	}
	return c
}

// orthonormal returns the nearest rotation to one that is nearly one, by Newton's
// iteration for the polar decomposition, R ← (R + R⁻ᵀ)/2. It doubles the digits each
// time: three give all of them from rigidTolerance on.
func (r matrix3) orthonormal() matrix3 {
	for range 3 {
		c, det := r.cofactors(), r.det()
		for i := range 3 {
			for j := range 3 {
				r[i][j] = (r[i][j] + c[i][j]/det) / 2
			}
		}
	}
	return r
}
