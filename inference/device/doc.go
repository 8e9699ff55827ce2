// Package device is the seam between the model and the machine: buffers in a
// device's memory and about ten fused operations on them.
//
// Model code (wan, vae, umt5) is written once against Device and Encoder; a
// device (cpu, metalkit) implements them and is correct when it passes
// devicetest.Run. The package holds types, checks of shapes and nothing else:
// it imports the standard library only and does no arithmetic on tensors.
package device
