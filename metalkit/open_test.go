package metalkit

import (
	"testing"

	"gimbal/inference/device"
)

func TestSelfTest(t *testing.T) {
	for _, c := range computes {
		dev := openTest(t, Options{Compute: c.dtype})
		if err := selfTest(dev); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if held, _ := dev.Held(); held != 0 {
			t.Errorf("%s: %d bytes are still held", c.name, held)
		}
	}
	if dev, _ := openNull(t, &nullDriver{}, 1, 1); selfTest(dev) == nil {
		t.Error("a GPU that does nothing passes")
	}
	if dev, err := OpenRoofline(Chips()[0], device.F32); err != nil || selfTest(dev) == nil {
		t.Errorf("a device of roofline passes, %v", err)
	}
}
