// Package quant encodes and decodes quantised weights: NF4, the 4-bit type of
// QLoRA (https://arxiv.org/abs/2305.14314) with bitsandbytes' values and packing,
// and INT8 with one scale a row. It knows slices of numbers only; device.Weight
// says how a device reads the results.
package quant
