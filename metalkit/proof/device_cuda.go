//go:build cuda

package main

import (
	"gimbal/inference/device"
	"gimbal/metalkit"
	"gimbal/metalkit/internal/driver/cuda"
)

func openDevice(opts metalkit.Options) (device.Device, error) {
	drv, err := cuda.Open()
	if err != nil {
		return nil, err
	}
	return metalkit.OpenDriver(drv, opts)
}
