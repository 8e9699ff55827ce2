package clip

import (
	"errors"
	"fmt"
	"math"
)

const (
	// rigidTolerance bounds |R·Rᵀ - 1|; float32 poses of real recordings reach 1e-6.
	rigidTolerance = 1e-3
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
			return fmt.Errorf("found the last row %v, expected 0 0 0 1: a camera-to-world matrix", p[3])
		}
	}
	var worst float64
	for i := range 3 {
		for j := range 3 {
			dot := p[i][0]*p[j][0] + p[i][1]*p[j][1] + p[i][2]*p[j][2]
			if i == j {
				dot--
			}
			worst = max(worst, math.Abs(dot))
		}
	}
	if worst > rigidTolerance {
		return fmt.Errorf("found a rotation whose axes are off orthonormal by %.3g, expected at most %g", worst, float64(rigidTolerance))
	}
	if r := rotation(p); r.det() < 0 {
		return errors.New("found mirrored axes (determinant -1), expected x right, y down, z forward")
	}
	return nil
}

func checkIntrinsics(intrinsics []Intrinsics) error {
	if len(intrinsics) == 0 {
		return errors.New("found no intrinsics, expected at least one row of fx fy cx cy")
	}
	k := intrinsics[0]
	for i, name := range [4]string{"fx", "fy", "cx", "cy"} {
		v := k[i]
		lo, hi := float64(minFocal), float64(maxDistance)
		if i >= 2 {
			size := [2]float64{pictureWidth, pictureHeight}[i-2]
			lo, hi = -size, 2*size
		}
		if !(v >= lo && v <= hi) {
			return fmt.Errorf("found %s = %v, expected %g to %g: pixels of a picture of %dx%d", name, v, lo, hi, pictureWidth, pictureHeight)
		}
	}
	return nil
}
