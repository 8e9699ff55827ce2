//go:build !darwin && !cuda

package metalkit

import (
	"testing"

	"gimbal/inference/device"
)

// openTest returns the device over the software driver.
func openTest(tb testing.TB, opts Options) device.Device {
	tb.Helper()
	dev, err := OpenSoftware(opts)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { dev.Close() })
	return dev
}
