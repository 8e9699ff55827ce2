// Package cpu is the device that runs on the processor: the oracle for every
// other device, and the one that is always there.
//
// Arithmetic is in F32 throughout, through cblas (OpenBLAS on Linux, Accelerate
// on macOS) and the small C loops of this folder. With AVX-512 on Linux, large
// products (product.c) and attention of heads of 128 channels (attention_heads.c)
// are such loops, too. Operands may be F32, F16 or BF16, weights and tables also
// F8_E4M3; quantised weights are widened panel by panel where they are multiplied.
//
// Results are the same bits from run to run and for any number of threads: work is
// cut into parts that depend on the shapes alone, and no sum crosses two of them.
package cpu
