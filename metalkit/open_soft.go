//go:build !darwin

package metalkit

import (
	"runtime"

	"gimbal/inference/device"
	"gimbal/metalkit/internal/driver/soft"
)

// OpenSoftware returns the device over the software driver, which runs the
// kernels on the processor: to test them, it is slow.
func OpenSoftware(opts Options) (device.Device, error) {
	drv, err := soft.New(runtime.GOMAXPROCS(0), false)
	if err != nil {
		return nil, err
	}
	d, err := open(drv, opts)
	if err != nil {
		return nil, err
	}
	return d, nil
}
