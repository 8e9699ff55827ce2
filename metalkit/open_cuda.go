//go:build cuda

package metalkit

import (
	"fmt"

	"gimbal/inference/device"
	"gimbal/metalkit/internal/driver/cuda"
)

// OpenCUDA returns the device over an NVIDIA GPU of 2020 or later, after a product that
// must come out right: to prove the kernels at the sizes of real checkpoints. It fails
// with device.ErrUnsupported where there is no such GPU.
func OpenCUDA(opts Options) (device.Device, error) {
	drv, err := cuda.Open()
	if err != nil {
		return nil, fmt.Errorf("metalkit: %w", err)
	}
	return openTested(drv, opts)
}
