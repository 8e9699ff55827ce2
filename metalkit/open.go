package metalkit

import (
	"fmt"

	"gimbal/inference/device"
)

// Open returns the device over the GPU of an Apple Silicon Mac with macOS 14 or
// later. Elsewhere it fails with device.ErrUnsupported and says why.
func Open(opts Options) (device.Device, error) {
	drv, err := newDriver()
	if drv == nil {
		return nil, fmt.Errorf("metalkit: %w", err)
	}
	return open(drv, opts)
}
