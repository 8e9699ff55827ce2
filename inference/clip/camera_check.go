package clip

import (
	"errors"
	"fmt"
	"math"
)

const (
	// rigidTolerance bounds |R·Rᵀ - 1| of what is used.
	rigidTolerance = 1e-3
	// exactTolerance bounds it for what is used as it is: float32 poses of real recordings
	// reach 1e-6, numbers of three decimals some 5e-4.
	exactTolerance = 1e-4
	// maxDistance keeps squares of translations within float32.
	maxDistance = 1e9
	// minFocal is a field of view of 175 degrees; a smaller focal length was not
	// given in pixels.
	minFocal = 16
)

func checkPoses(poses []Pose) error {
	if len(poses) == 0 {
		return errors.New("found no poses, expected at least one")
	}
	for i := range poses {
		if err := checkPose(&poses[i]); err != nil {
			return fmt.Errorf("pose %d: %w", i, err)
		}
	}
	return nil
}

func checkPose(p *Pose) error {
	for r, row := range p {
		for c, v := range row {
			if math.IsNaN(v) || math.Abs(v) > maxDistance {
				return fmt.Errorf("found %v in row %d, column %d, expected a number below %g", v, r, c, float64(maxDistance))
			}
		}
	}
	for c, want := range [4]float64{0, 0, 0, 1} {
		if math.Abs(p[3][c]-want) > rigidTolerance {
			if p[0][3] == 0 && p[1][3] == 0 && p[2][3] == 0 && p[3][3] == 1 {
				return fmt.Errorf("found the last row %v and the last column 0 0 0 1, expected them the other way round: the matrices are transposed", p[3])
			}
			return fmt.Errorf("found the last row %v, expected 0 0 0 1: a camera-to-world matrix", p[3])
		}
	}
	r := rotation(p)
	if off := r.offOrthonormal(); off > rigidTolerance {
		return fmt.Errorf("found a rotation whose axes are off orthonormal by %.3g, expected at most %g", off, float64(mendTolerance))
	}
	if r.det() < 0 {
		return errors.New("found mirrored axes (determinant -1), expected x right, y down, z forward")
	}
	return nil
}

// offOrthonormal returns the largest value of |R·Rᵀ - 1|.
func (r matrix3) offOrthonormal() (worst float64) {
	for i := range 3 {
		for j := range 3 {
			dot := r[i][0]*r[j][0] + r[i][1]*r[j][1] + r[i][2]*r[j][2]
			if i == j {
				dot--
			}
			worst = max(worst, math.Abs(dot))
		}
	}
	return worst
}

const (
	// mendTolerance bounds |R·Rᵀ - 1| of what is taken for a rotation at all: numbers of two
	// decimals are off by up to 0.02.
	mendTolerance = 0.05
	// scaleTolerance is how much a rotation's axes may be longer than 1 without being scaled.
	scaleTolerance = 1e-2
	// maxScale bounds what a rotation may be scaled by.
	maxScale = 1e6
)

// mendPoses puts the nearest rotations in place of those in poses that are rounded or
// scaled, and checks the rest.
func (p *Path) mendPoses(poses []Pose) error {
	rounded, scaled := mended{}, mended{}
	for i := range poses {
		off, scale, ok := mend(&poses[i])
		if ok && math.Abs(scale-1) > scaleTolerance {
			scaled.add(i, scale)
		} else if ok {
			rounded.add(i, off)
		}
	}
	if scaled.n > 0 {
		p.note(NoteScaledRotations, map[string]any{"N": scaled.n, "Frame": scaled.at, "Scale": fmt.Sprintf("%.4g", scaled.most)},
			"the rotations of %s are scaled, that of frame %d by %.4g: taken without the scale", count(scaled.n, "pose"), scaled.at, scaled.most)
	}
	if rounded.n > 0 {
		p.note(NoteNearestRotations, map[string]any{"N": rounded.n, "Frame": rounded.at, "Error": fmt.Sprintf("%.2g", rounded.most)},
			"the rotations of %s are not exact, that of frame %d is off by %.2g: the nearest rotations are used", count(rounded.n, "pose"), rounded.at, rounded.most)
	}
	return checkPoses(poses)
}

// mended counts what was mended, and keeps the worst of it.
type mended struct {
	n, at int
	most  float64
}

func (m *mended) add(frame int, much float64) {
	if m.n++; m.n == 1 || math.Abs(much) > math.Abs(m.most) {
		m.at, m.most = frame, much
	}
}

// mend puts the nearest rotation in place of that of p, and says how far off it was and by
// what it was scaled; ok is false where it is a rotation already, or nothing like one.
func mend(p *Pose) (off, scale float64, ok bool) {
	r := rotation(p)
	if off = r.offOrthonormal(); off <= exactTolerance {
		return off, 1, false
	}
	scale = math.Cbrt(r.det())
	if !(scale > 1/maxScale && scale < maxScale) {
		return off, scale, false
	}
	for i := range 3 {
		for j := range 3 {
			r[i][j] /= scale
		}
	}
	if r.offOrthonormal() > mendTolerance {
		return off, scale, false
	}
	r = r.orthonormal().orthonormal()
	for i := range 3 {
		copy(p[i][:3], r[i][:])
	}
	return off, scale, true
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func checkIntrinsics(k Intrinsics) error {
	for i, name := range [4]string{"fx", "fy", "cx", "cy"} {
		v := k[i]
		lo, hi := float64(minFocal), float64(maxDistance)
		if i >= 2 {
			size := [2]float64{pictureWidth, pictureHeight}[i-2]
			lo, hi = -size, 2*size
		}
		if !(v >= lo && v <= hi) {
			hint := ""
			if i < 2 && v > 0 && v < lo {
				hint = fmt.Sprintf("; multiply what is a share of the picture's size by %d (fx, cx) and %d (fy, cy)", pictureWidth, pictureHeight)
			}
			return fmt.Errorf("found %s = %v, expected %g to %g: pixels of a picture of %dx%d%s", name, v, lo, hi, pictureWidth, pictureHeight, hint)
		}
	}
	return nil
}
