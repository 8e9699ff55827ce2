// Package metalkit is the device that runs on a GPU through Metal kernels.
//
// Everything above the driver interface (driver.go) is one implementation of
// device.Device: buffers, and an encoder that turns each operation into one or two
// dispatches of the kernels in metalkit/kernels, without an allocation of its own. A driver
// has memory, pipelines, and runs a recorded list of dispatches. The software
// driver (driver_soft.go) runs the same kernels on the processor, so that the
// kernels and all that is here are tested on any machine. The driver of a Mac's
// GPU (driver_darwin.go, metal_darwin.m) has never run: package
// metalkit/internal/static has clang read what only a Mac compiles. With the build tag
// cuda there is also the driver of an NVIDIA GPU (driver_cuda.go), which runs the kernels
// as PTX (make ptx) to prove them at the sizes of real checkpoints (make gpu-proof, package
// metalkit/proof); no program has it. docs/gpu-proof.md is what came out, docs/gpu-limits.md
// what limits it there.
//
// Linear, Attention and Conv have kernels in several shapes (variants.go). Where the
// driver has a clock, the tuner times them at the first use of a size and keeps its
// choices in a file (tune.go); Paper plans launches for a chip without running them
// (paper.go, chips.go).
//
// Memory: a buffer takes whole pages of 16 KiB. Weights that are mapped from files are
// aliased and count nowhere, as package device says. What operations hand on between
// their kernels is one piece for each submission (scratch.go), which counts as allocated
// while it runs. Memory of released buffers and of the last scratch is kept for the next
// until Trim, or until there is too little. Count lets a plan know all that before. The
// tuner times large operations in part, so that trialBytes of results are enough for it.
//
// Linear, Attention and Conv multiply in the type of Options.Compute, with sums in
// F32; all other arithmetic is in F32. Operands may be F32, F16 or BF16 and, where
// they are only read, F8_E4M3; weights also INT8 and NF4.
//
// The system's own product, which the tuner tries against these kernels, is
// MPSMatrixMultiplication: of F32 and F16, as it has no BF16. MPSGraph multiplies BF16
// from macOS 14 on, but does not fit here: its tensors take a whole MTLBuffer, without an
// offset before macOS 15, so that weights and activations, which are views of larger
// buffers, would have to be copied first; and encoding a graph may commit the command
// buffer that it is given and go on in another one, where a block is to be one. With
// Options.Compute of BF16 there is therefore no system's product to choose.
//
// TestMutations runs the conformance suite over kernels with one mistake each. By
// default it tries a few; GIMBAL_MUTATE=. go test -run TestMutations -v -timeout 0 tries
// all, in some six minutes on two cores. Those that may go unnoticed stand in
// testdata/survivors.txt with the reason.
package metalkit
