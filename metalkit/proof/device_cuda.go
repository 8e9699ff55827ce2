//go:build cuda

package main

import "gimbal/metalkit"

var openDevice = metalkit.OpenCUDA
