// Package noise draws the normal numbers that torch.randn draws, so that a seed
// gives the reference's video: CUDA follows a CUDA generator (Philox), CPU a CPU
// generator (mt19937).
//
// Only float32 values of mean 0 and deviation 1 are drawn. The order of draws, the
// layout over GPU threads and the recomputed tail are part of the result: change
// nothing here that the torch_randn case does not ask for.
package noise
