//go:build !darwin

package apple

import (
	"fmt"
	"runtime"

	"gimbal/inference/device"
	"gimbal/metalkit/internal/driver"
)

// Open fails: there is Metal on Macs only.
func Open() (driver.Driver, error) {
	return nil, fmt.Errorf("there is no Metal on %s: %w", runtime.GOOS, device.ErrUnsupported)
}
