//go:build !cuda && !darwin

package main

import "gimbal/metalkit"

var openDevice = metalkit.OpenSoftware
