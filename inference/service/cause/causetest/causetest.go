// Package causetest has errors of every kind that travels, for the tests of those who send and of
// those who read them.
package causetest

import (
	"errors"
	"syscall"
	"time"

	"gimbal/inference"
	"gimbal/inference/device"
	"gimbal/inference/device/mapped"
)

// Errors returns them.
func Errors() []error {
	return []error{
		&inference.MemoryError{Plan: inference.Plan{Width: 832, Height: 480, Frames: 81, Phases: []inference.Phase{{Name: "sample", Times: 20, Buffers: 1 << 40}}}, Frames: 41},
		device.ErrOutOfMemory,
		device.ErrInterrupted,
		device.ErrDeviceLost,
		device.ErrUnsupported,
		&inference.UnhealthyError{Step: 3, Expert: "high_noise_model", Where: "block 3", Found: "NaN"},
		&inference.DiskError{Folder: "videos", Free: 1 << 20, Need: 1 << 30},
		syscall.ENOSPC,
		syscall.EDQUOT,
		&mapped.LostError{Path: "model/a.safetensors"},
		&inference.BusyError{Dir: "video.run", PID: 7, Host: "studio", Since: time.Unix(1e9, 0)},
		&inference.OtherCheckpointError{Run: "video.run", Checkpoint: "model"},
		&inference.SettingError{Setting: "frame_num", Mistake: inference.FramesNot4n1, Found: "40", Want: "4n+1 frames", Args: map[string]any{"Below": 37, "Above": 41}},
		&inference.SettingError{Setting: "image", Mistake: inference.Unusable, Err: errors.New("it is no picture")},
		errors.Join(&inference.SettingError{Setting: "prompt", Mistake: inference.Missing, Found: "none given", Want: "a prompt"},
			&inference.SettingError{Setting: "sample_steps", Mistake: inference.OutOfRange, Found: "0", Want: "1 to 1000", Args: map[string]any{"Low": 1, "High": 1000}}),
		&inference.CheckpointError{Dir: "model", Err: errors.New("the VAE is not there")},
	}
}
