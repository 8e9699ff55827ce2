// Package quant makes quantised weights: NF4, the 4-bit type of QLoRA
// (https://arxiv.org/abs/2305.14314) with bitsandbytes' values and packing, and
// INT8 with one scale a row.
//
//   - EncodeNF4, EncodeINT8, EncodeNested and their inverses know slices of numbers
//     only; device.Weight says how a device reads the results.
//   - NF4Tensor and INT8Tensor quantise a tensor of a checkpoint on all cores.
//   - Open gives an expert's quantised weights in bitsandbytes' layout, which
//     checkpoint.Loader reads: those that the checkpoint brings, or a cached file,
//     which it makes at first use, layer by layer.
package quant
