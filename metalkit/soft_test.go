//go:build !darwin

package metalkit

import (
	"testing"

	"gimbal/inference/device"
	"gimbal/inference/device/devicetest"
)

// product is devicetest's bound of products in F32. The kernels add in order: over
// 2600 products, of a convolution, the rounding of the sums walks to 5e-6 of their
// size in the worst of a thousand results.
const product = 8e-6

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

func TestDevice(t *testing.T) {
	devicetest.Run(t, openTest(t, Options{}), devicetest.Options{Product: product})
}
