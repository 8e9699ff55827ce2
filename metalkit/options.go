package metalkit

import (
	"fmt"
	"log/slog"

	"gimbal/inference/device"
)

// Options says how a device computes.
type Options struct {
	// Compute is the type in which Linear, Attention and Conv multiply: F32, F16
	// or BF16. 0 stands for F32.
	Compute device.DType
	// HighWatermark is the share of the working set that the system recommends beyond
	// which Alloc fails with device.ErrOutOfMemory, as PyTorch's
	// PYTORCH_MPS_HIGH_WATERMARK_RATIO: 0 stands for defaultWatermark,
	// +Inf for no limit.
	HighWatermark float64
	// MemoryLimit is the most bytes that Alloc hands out, instead; 0 for none.
	MemoryLimit int64
	// Capture is the .gputrace file to which the first submission with the label
	// CaptureLabel is captured, for Xcode; nothing for none.
	Capture, CaptureLabel string
	// Tuning is the folder that keeps which variants of the kernels were the fastest
	// on this machine; without one they are timed again in every process.
	Tuning string
	// Fixed takes the variants that are taken without timing, and times none.
	Fixed bool
	// Eager makes the variants' pipelines at once, not beside the run: for who only wants them
	// timed.
	Eager bool
	// Oracle opens the device that kernels are checked against when they are first used on a
	// chip, a system or with kernels that are new; nil for no checks.
	Oracle func() (device.Device, error)
	// Log takes what cannot be kept there; nil for slog.Default.
	Log *slog.Logger
}

// check checks all but the type.
func (o Options) check() error {
	if o.MemoryLimit < 0 || !(o.HighWatermark >= 0) {
		return fmt.Errorf("a high watermark of %g and a limit of %d bytes: want 0 or more", o.HighWatermark, o.MemoryLimit)
	}
	return checkCapture(o.Capture)
}

// defaultWatermark leaves room for what counts nowhere: the mapped weights of the block that
// runs, and the window.
const defaultWatermark = 0.92

// limit returns the most bytes that Alloc hands out, given the working set.
func (o Options) limit(workingSet int64) int64 {
	switch {
	case o.MemoryLimit > 0:
		return o.MemoryLimit
	case o.HighWatermark == 0:
		o.HighWatermark = defaultWatermark
	}
	const most = 1 << 62 // bytes; never reached
	return int64(min(most, o.HighWatermark*float64(workingSet)))
}
