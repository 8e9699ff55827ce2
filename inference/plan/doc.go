// Package plan says what a job takes before it runs: memory by phase and the time on a
// device whose rates were measured, and it chooses settings that fit.
//
// There is no second model of the memory. Device counts: it is a device.Device that
// backs nothing, on which the same code runs that runs the model, so that a plan is right
// as long as that code is. device.go and encoder.go hold the counting, measure.go what
// tells a device's speed, rates.go what follows from it, learn.go what runs teach, and
// choose.go the settings that may change, in order of harm: another one is a row there.
package plan
