package apple

import (
	"fmt"
	"strings"

	"gimbal/inference/device"
	"gimbal/metalkit/internal/driver"
)

// Codes of MTLCommandBufferError.
const (
	bufferTimeout         = 2
	bufferPageFault       = 3
	bufferAccessRevoked   = 4
	bufferOutOfMemory     = 8
	bufferInvalidResource = 9
	bufferDeviceRemoved   = 11
)

// internalErrors are the driver's own errors, which Metal reports as internal ones (code 1)
// with their number and name in the text alone, by the code that stands for each.
var internalErrors = []struct {
	name, number string
	code         int
}{
	{"ImpactingInteractivity", "0000000e", bufferTimeout}, // of macOS 26: work that the window server waits for
	{"GPUTimeout", "", bufferTimeout},
	{"OutOfMemory", "00000008", bufferOutOfMemory},
	{"InnocentVictim", "00000005", innocentVictim},
	{"SubmissionsIgnored", "00000004", bufferAccessRevoked},
	{"PageFault", "0000000b", bufferPageFault},
}

// innocentVictim is no code of Metal's: another program's work made the GPU start anew.
const innocentVictim = -1

// runError says what to do about a command buffer that failed with a code of
// MTLCommandBufferError and a text.
func runError(code int, text string) error {
	for _, e := range internalErrors {
		if strings.Contains(text, e.name) || e.number != "" && strings.Contains(text, "("+e.number+":") {
			code = e.code
			break
		}
	}
	switch code {
	case bufferTimeout:
		return &driver.StoppedError{TooLong: true, Text: text}
	case innocentVictim:
		return &driver.StoppedError{Text: text}
	case bufferOutOfMemory:
		return fmt.Errorf("the GPU ran out of memory (%s); use smaller frames, fewer of them, quantised weights or "+
			"a lower high watermark, and close other programs: %w", text, device.ErrOutOfMemory)
	case bufferAccessRevoked:
		return fmt.Errorf("the system takes no more work for the GPU from this process (%s); quit Gimbal, start it again and resume the run: %w", text, device.ErrDeviceLost)
	case bufferInvalidResource:
		return fmt.Errorf("the GPU was given memory that it cannot use (%s), which is a fault of Gimbal: please report it, and resume the run on the CPU: %w", text, device.ErrDeviceLost)
	case bufferPageFault, bufferDeviceRemoved:
		return fmt.Errorf("the GPU was taken away (error %d, %s); resume the run: %w", code, text, device.ErrDeviceLost)
	default:
		return fmt.Errorf("the GPU failed (error %d, %s); resume the run, on the CPU if it fails again: %w", code, text, device.ErrDeviceLost)
	}
}
