package keyframes

import (
	"slices"

	"gimbal/inference/clip"
)

// Convention says how poses of another program are meant.
type Convention struct {
	// WorldToCamera poses take points to the camera (extrinsics, view matrices), not from it.
	WorldToCamera bool
	// OpenGL axes are x right, y up, z back, as in Blender and NeRF studios, not y down, z ahead.
	OpenGL bool
}

// Poses returns poses as this package means them: from the camera to the world, OpenCV's axes.
func (c Convention) Poses(poses []clip.Pose) []clip.Pose {
	out, flip := slices.Clone(poses), [4]float64{1, -1, -1, 1}
	for i := range out {
		if c.WorldToCamera {
			out[i] = inverted(&out[i])
		}
		for row := range 3 {
			for col := range 4 {
				if c.OpenGL { // both the camera's axes and the world's
					out[i][row][col] *= flip[row] * flip[col]
				}
			}
		}
	}
	return out
}
