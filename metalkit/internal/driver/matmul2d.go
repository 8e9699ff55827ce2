package driver

import (
	"regexp"
	"strconv"
)

// Version is a system's, such as 26.2.
type Version struct{ Major, Minor int }

var architectureName = regexp.MustCompile(`_g(\d+)([a-z])$`)

// HasMatmul2D reports whether a system of macOS compiles the kernels of kernels.Metal4 for a GPU whose
// architecture has such a name, as "applegpu_g17s", and the GPU's cores have Neural Accelerators: from
// generation 17 on, and the phones' (p), which are in some Macs, from 18 on. MLX asks the same
// (is_nax_available in mlx/backend/metal/device.cpp).
func HasMatmul2D(macOS Version, architecture string) bool {
	m := architectureName.FindStringSubmatch(architecture)
	if m == nil || macOS.Major < 26 || macOS.Major == 26 && macOS.Minor < 2 {
		return false
	}
	generation, err := strconv.Atoi(m[1])
	if m[2] == "p" {
		return err == nil && generation >= 18
	}
	return err == nil && generation >= 17
}
