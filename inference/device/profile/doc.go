// Package profile times what a device runs: it wraps a device.Device, has each
// operation run as a submission of its own, and tells the times as a table and as a
// trace that Perfetto (ui.perfetto.dev) and chrome://tracing show.
//
// It knows devices by their interface only. An operation's time is that of its kernels by
// the device's own clock where it has one, and else what the host
// waited for. What a profile adds to a run is the time of one submission an operation,
// or a kernel.
package profile
