package device

import "context"

// Launch is one kernel that a device ran.
type Launch struct {
	Kernel  string
	Seconds float64 // by the device's clock
	Cost    Cost    // with the bytes that the kernel moves, not the least
}

// Timer is a Device that tells how long its kernels take.
type Timer interface {
	Device
	// DoTimed is Do, but runs each kernel on its own, and calls ran right after it.
	DoTimed(ctx context.Context, label string, f func(Encoder), ran func(Launch)) error
}
