package metalkit

import (
	"context"
	"testing"

	"gimbal/inference/device"
)

// lazyDriver runs nothing.
type lazyDriver struct{ driver }

func (lazyDriver) run(context.Context, string, []call) (float64, error) { return 0, nil }

func TestTryOut(t *testing.T) {
	for _, c := range computes {
		dev := openTest(t, Options{Compute: c.dtype}).(*gpu)
		if err := dev.untuned(tryOut); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if held, _ := dev.Held(); held != 0 {
			t.Errorf("%s: %d bytes are still held", c.name, held)
		}
		dev.drv = lazyDriver{dev.drv}
		if err := dev.untuned(tryOut); err == nil {
			t.Errorf("%s: a GPU that does nothing passes", c.name)
		}
	}
	if dev, err := OpenPaper(Chips()[0], device.F32); err != nil || tryOut(dev) == nil {
		t.Errorf("a device of paper passes, %v", err)
	}
}
