package main

import (
	"runtime"

	"gimbal/metalkit"
)

// openMetal opens a Mac's GPU, or what stands for one where the program is built with the tag
// emulated. Where wantsGPU is set, it is a fault that there is none.
var (
	openMetal = metalkit.Open
	wantsGPU  = runtime.GOOS == "darwin"
)
