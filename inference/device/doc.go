// Package device is the seam between the model and the machine: buffers in a
// device's memory and ten fused operations on them.
//
// An operation is a value (op.go) that knows its name, its cost and whether its
// operands go together. Model code (wan, vae, umt5) records operations with an
// Encoder; a device (cpu, metalkit) runs them, by one type switch, and is correct
// when it passes devicetest.Run. What wraps a device (profile, plan, bench) needs
// one Record for all of them.
//
// The package holds types, checks of shapes and nothing else: it imports the
// standard library only and does no arithmetic on tensors.
package device
