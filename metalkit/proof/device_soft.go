//go:build !cuda && !darwin

package main

import (
	"runtime"

	"gimbal/inference/device"
	"gimbal/metalkit"
	"gimbal/metalkit/internal/driver/soft"
)

func openDevice(opts metalkit.Options) (device.Device, error) {
	drv, err := soft.New(runtime.GOMAXPROCS(0), false)
	if err != nil {
		return nil, err
	}
	return metalkit.OpenDriver(drv, opts)
}
