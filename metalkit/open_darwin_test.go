package metalkit

import (
	"errors"
	"testing"

	"gimbal/inference/device"
)

// openTest returns the device over the Mac's GPU.
func openTest(tb testing.TB, opts Options) *gpu {
	tb.Helper()
	dev, err := Open(opts)
	if errors.Is(err, device.ErrUnsupported) {
		tb.Skip(err) // a virtual machine, say
	}
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { dev.Close() })
	return dev.(*gpu)
}
