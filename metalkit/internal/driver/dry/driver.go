// Package dry is a driver that has no memory and runs nothing: what a plan of dispatches
// is made over.
package dry

import (
	"context"
	"fmt"

	"gimbal/inference/device"
	"gimbal/metalkit/internal/driver"
)

// Driver implements driver.Driver.
type Driver struct{ limits driver.Limits }

// New returns the driver of a GPU with such limits.
func New(l driver.Limits) Driver { return Driver{l} }

func (d Driver) Limits() driver.Limits                                         { return d.limits }
func (Driver) Alloc(int64) (driver.Memory, error)                              { return driver.Memory{Handle: 1}, nil }
func (Driver) Alias([]byte) (driver.Memory, bool)                              { return driver.Memory{Handle: 1}, true }
func (Driver) Free(driver.Memory)                                              {}
func (Driver) Pipeline(driver.Specialisation) (int32, error)                   { return 0, nil }
func (Driver) Close()                                                          {}
func (Driver) Run(context.Context, string, []driver.Dispatch) (float64, error) { return 0, nil }

func (Driver) Capture(string) (func() error, error) {
	return nil, fmt.Errorf("there is nothing to capture where nothing runs: %w", device.ErrUnsupported)
}
