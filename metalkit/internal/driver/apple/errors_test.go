package apple

import (
	"errors"
	"strings"
	"testing"

	"gimbal/inference/device"
	"gimbal/metalkit/internal/driver"
)

// TestRunError has the texts that users of other programs have reported.
func TestRunError(t *testing.T) {
	for _, c := range []struct {
		code    int
		text    string
		want    error
		tooLong bool
		advice  string
	}{
		{0, "No reason", device.ErrDeviceLost, false, "on the CPU if it fails again"},
		{1, "Internal Error (0000000e:kIOGPUCommandBufferCallbackErrorImpactingInteractivity)", device.ErrInterrupted, true, "let the display sleep"},
		{1, "Impacting Interactivity (0000000e:other)", device.ErrInterrupted, true, "let the display sleep"},
		{1, "Discarded (victim of GPU error/recovery) (00000005:kIOGPUCommandBufferCallbackErrorInnocentVictim)", device.ErrInterrupted, false, "another program's fault"},
		{1, "Ignored (for causing prior/excessive GPU errors) (00000004:kIOGPUCommandBufferCallbackErrorSubmissionsIgnored)", device.ErrDeviceLost, false, "start it again"},
		{1, "Insufficient Memory (00000008:kIOGPUCommandBufferCallbackErrorOutOfMemory)", device.ErrOutOfMemory, false, "quantised weights"},
		{1, "Caused GPU Hang Error (00000003:kIOGPUCommandBufferCallbackErrorHang)", device.ErrDeviceLost, false, "resume the run"},
		{bufferTimeout, "Caused GPU Timeout Error (00000002:kIOGPUCommandBufferCallbackErrorTimeout)", device.ErrInterrupted, true, "let the display sleep"},
		{bufferPageFault, "Page Fault", device.ErrDeviceLost, false, "resume the run"},
		{bufferOutOfMemory, "Insufficient Memory", device.ErrOutOfMemory, false, "smaller frames"},
		{bufferInvalidResource, "Invalid Resource", device.ErrDeviceLost, false, "report"},
		{bufferDeviceRemoved, "Removed", device.ErrDeviceLost, false, "resume the run"},
	} {
		err := runError(c.code, c.text)
		var stopped *driver.StoppedError
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) || !strings.Contains(err.Error(), c.advice) {
			t.Errorf("error %d is %q, want %v with the system's text and %q", c.code, err, c.want, c.advice)
		}
		if c.tooLong != (errors.As(err, &stopped) && stopped.TooLong) {
			t.Errorf("%q: for taking too long: %v, want %v", err, !c.tooLong, c.tooLong)
		}
	}
}
