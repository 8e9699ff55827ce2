package studio

import (
	"context"

	"gimbal/inference/device"
)

// NewEngine returns the real Engine, over inference. open opens the device, once,
// when it is first needed.
func NewEngine(open func(context.Context) (device.Device, error)) Engine { return nil }
