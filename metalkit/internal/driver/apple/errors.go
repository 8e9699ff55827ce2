package apple

import (
	"fmt"

	"gimbal/inference/device"
)

// Codes of MTLCommandBufferError.
const (
	bufferTimeout       = 2
	bufferPageFault     = 3
	bufferAccessRevoked = 4
	bufferOutOfMemory   = 8
	bufferDeviceRemoved = 11
)

// runError says what to do about a command buffer that failed with a code of
// MTLCommandBufferError and a text.
func runError(code int, text string) error {
	switch code {
	case bufferOutOfMemory:
		return fmt.Errorf("the GPU ran out of memory (%s); use smaller frames, fewer of them, quantised weights or "+
			"a lower high watermark, and close other programs: %w", text, device.ErrOutOfMemory)
	case bufferTimeout:
		return fmt.Errorf("the system stopped work on the GPU that took too long (%s); other programs keep it busy, or this is a fault of Gimbal; resume the run: %w",
			text, device.ErrDeviceLost)
	case bufferPageFault, bufferAccessRevoked, bufferDeviceRemoved:
		return fmt.Errorf("the GPU was taken away (error %d, %s); resume the run: %w", code, text, device.ErrDeviceLost)
	default:
		return fmt.Errorf("the GPU failed (error %d, %s); resume the run, on the CPU if it fails again: %w", code, text, device.ErrDeviceLost)
	}
}
