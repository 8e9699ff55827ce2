// Package bench measures what a device makes of the model: what quantised weights
// cost and give (Quantization), the VAE's chunks (VAE), steps of clips of several
// lengths (Steps), attention (Attention), caches that leave passes out (Caches) and what they
// go by (Calibrate), and one operation at one size by every variant of its kernel (Kernel).
//
// Each benchmark returns a Report: rows of numbers with the machine and the device
// that they were measured on, which can be written as JSON and as a plot. It runs on
// a checkpoint, or, without one, on layers of any size with random weights (Dims),
// which it writes to a temporary folder and removes. Nothing here prints.
//
// Totals that were not measured but worked out say so (Total.Extrapolated).
package bench
