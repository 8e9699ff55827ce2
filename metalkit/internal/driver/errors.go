package driver

import (
	"fmt"

	"gimbal/inference/device"
)

// StoppedError says that the system stopped a run and goes on with the GPU: what the run
// was writing is undefined.
type StoppedError struct {
	TooLong bool   // it held the GPU for too long; shorter runs may pass
	Text    string // the system's
}

func (e *StoppedError) Error() string {
	why, do := "for another program's fault", "resume the run"
	if e.TooLong {
		why, do = "as it kept the screen waiting", "let the display sleep ('pmset displaysleepnow' does at once) or close other programs, and resume the run"
	}
	return fmt.Sprintf("the system stopped work on the GPU %s (%s); %s: %v", why, e.Text, do, device.ErrInterrupted)
}

// Unwrap returns device.ErrInterrupted.
func (e *StoppedError) Unwrap() error { return device.ErrInterrupted }
