//go:build !darwin

package metalkit

import (
	"fmt"
	"runtime"

	"gimbal/inference/device"
)

// newDriver fails: there is Metal on Macs only.
func newDriver() (driver, error) {
	return nil, fmt.Errorf("there is no Metal on %s: %w", runtime.GOOS, device.ErrUnsupported)
}
