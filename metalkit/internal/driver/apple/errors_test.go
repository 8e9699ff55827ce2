package apple

import (
	"errors"
	"strings"
	"testing"

	"gimbal/inference/device"
)

func TestRunError(t *testing.T) {
	for code, want := range map[int]error{0: device.ErrDeviceLost, 1: device.ErrDeviceLost, bufferTimeout: device.ErrDeviceLost,
		bufferPageFault: device.ErrDeviceLost, bufferOutOfMemory: device.ErrOutOfMemory, bufferDeviceRemoved: device.ErrDeviceLost} {
		err := runError(code, "Insufficient Memory")
		if !errors.Is(err, want) || !strings.Contains(err.Error(), "Insufficient Memory") {
			t.Errorf("error %d is %q, want %v with the system's text", code, err, want)
		}
	}
}
