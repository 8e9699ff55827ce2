//go:build emulated && !darwin

package main

import (
	"os"

	"gimbal/inference/device"
	"gimbal/metalkit"
	"gimbal/metalkit/emulated"
)

// faultVariable names what shall go wrong, see package emulated.
const faultVariable = "GIMBAL_FAULT"

func init() {
	wantsGPU = true
	openMetal = func(o metalkit.Options) (device.Device, error) { return emulated.Open(o, os.Getenv(faultVariable)) }
}
