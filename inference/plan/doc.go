// Package plan says what a job takes before it runs: memory by phase, disk, and
// the time on a device whose rates were measured.
//
// There is no second model of the memory. Device counts: it is a device.Device
// that backs nothing, on which the same code runs that runs the model, so that a
// plan is right as long as that code is. plan.go holds what a plan tells, device.go
// and encoder.go the counting, measure.go what tells a device's speed, rates.go what
// follows from it.
package plan
