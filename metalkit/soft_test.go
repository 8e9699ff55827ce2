//go:build !darwin

package metalkit

import (
	"testing"

	"gimbal/inference/device/devicetest"
)

// TestBackward starts the threads of every threadgroup with the last one, and the
// threadgroups, too: what a barrier should keep apart shows, and what one threadgroup
// writes of another's results.
func TestBackward(t *testing.T) {
	drv, err := newSoftDriver(1, true)
	if err != nil {
		t.Fatal(err)
	}
	dev, err := open(drv, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	devicetest.Run(t, dev, devicetest.Options{Product: productBound})
}
