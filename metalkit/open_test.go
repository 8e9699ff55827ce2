package metalkit

import (
	"testing"

	"gimbal/inference/device"
)

func TestTryOut(t *testing.T) {
	for _, c := range computes {
		dev := openTest(t, Options{Compute: c.dtype}).(*gpu)
		if err := dev.untuned(tryOut); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if held, _ := dev.Held(); held != 0 {
			t.Errorf("%s: %d bytes are still held", c.name, held)
		}
	}
	if dev, _ := openNull(t, &nullDriver{}, 1, 1); tryOut(dev) == nil {
		t.Error("a GPU that does nothing passes")
	}
	if dev, err := OpenPaper(Chips()[0], device.F32); err != nil || tryOut(dev) == nil {
		t.Errorf("a device of paper passes, %v", err)
	}
}
