//go:build cuda

package metalkit

import (
	"testing"

	"gimbal/metalkit/internal/driver/cuda"
)

// openTest returns the device over the NVIDIA GPU. It chooses variants as over the
// software driver, so that the same ones are tested.
func openTest(tb testing.TB, opts Options) *gpu {
	tb.Helper()
	drv, err := cuda.Open()
	if err != nil {
		tb.Fatal(err)
	}
	opts.Fixed = true
	dev, err := open(drv, opts)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { dev.Close() })
	return dev
}

func TestOpenCUDA(t *testing.T) {
	drv, err := cuda.Open()
	if err != nil {
		t.Fatal(err)
	}
	dev, err := OpenDriver(drv, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", dev.Info())
	if err := dev.Close(); err != nil {
		t.Error(err)
	}
}
