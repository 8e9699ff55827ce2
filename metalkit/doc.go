// Package metalkit is the device that runs on a GPU through Metal kernels.
//
// # The way of an operation
//
// Do has its caller record operations (device.Op) and runs what came of them:
//
//  1. encoder.go: Record checks an operation and hands it to its method (linear.go,
//     attention.go, conv.go, norm.go, elementwise.go, move.go). An operation that is too
//     long for one command buffer is recorded in parts (split.go).
//  2. The method finds its operands in memory, takes what it needs beside them from the
//     scratch (scratch.go), and chooses among the variants of its kernel (variants.go): the
//     fixed one, a forced one (force.go), or the fastest (autotune.go, internal/tune).
//  3. It appends one dispatch, or a few, to the plan: the kernel, its function constants,
//     arguments and operands, and the order of its threadgroups (swizzle.go). Recording
//     allocates nothing.
//  4. commandbuffer.go cuts the plan into command buffers of a tenth of a second, which the
//     driver runs one after the other (internal/driver).
//
// # What to change for what
//
//   - Another variant of a kernel: its INSTANCE lines at the end of the kernel's file, one
//     for each type. The host reads the sizes there; nothing else lists them.
//   - Another kernel: a file in kernels with the header that the others have, a line in
//     internal/driver/soft/kernels.cpp, a structure of arguments with the same members and a
//     record of it in the operation's file. The tests in sides_test.go and resources_test.go
//     hold both sides to each other.
//   - Another format of weights: its type in kernels/common.h, how it is read in weight and
//     weight4 of kernels/linear.metal, and its number in weightType (linear.go). Package
//     device says what a format is.
//   - Another driver: a package beside those of internal/driver, and OpenDriver.
//   - Another chip: a line in internal/roofline/chip.go.
//   - Another kernel by matmul2d: a file of the second source, see below, which kernels.LanguageOf knows
//     by its name.
//
// After a change of a kernel, `gimbal bench kernel` times it at a size.
//
// # Memory
//
// A buffer takes whole pages of 16 KiB. Weights that are mapped from files are aliased and
// count nowhere, as package device says. What operations hand on between their kernels is
// one piece for each submission, which counts as allocated while it runs. Memory of
// released buffers and of the last scratch is kept for the next until Trim, or until there
// is too little (buffer.go). Count lets a plan know all that before. The autotuner times
// large operations in part, so that benchmarkBytes of results are enough for it.
//
// # Never wrong because fast
//
// A run begins with the fixed variants. When a shape comes again in a later submission the others
// are made beside the run (prepare.go), and timed once they are ready (autotune.go). Two
// things keep a wrong one out; what they find is switched off by name in the file of choices,
// logged, and listed by Describe:
//
//   - check.go runs a small twin (twin.go) of the operation by every kernel that is new to the
//     chip, the system or the build, and compares it with Options.Oracle, which is the CPU.
//   - autotune.go compares some rows of each variant's results at the real size with the fixed
//     one's before it times it.
//
// Tiles copy operands that are of their type already as they are; which they are, and that no slice
// ends within a row, are flags that product and attend set (linear.go, attention.go).
//
// # Neural Accelerators
//
// M5's cores have units for matrix products, which only MetalPerformancePrimitives' matmul2d reaches.
// The kernels that use it are a second source (kernels/metal4.h), in Metal 4.0, which a GPU of generation
// 17 or later sees under macOS 26.2 or later (driver.HasMatmul2D), and no other one: Linear of operands
// in 16 bits, and of INT8 weights, as they are, Conv of slices that are gathered, and Attention to keys and
// values in 16 bits of heads that are 32, 64 or 128 columns wide. They are variants that
// the tuner may choose after the two checks above, and never the fixed choice. Where the system does not
// compile them, all is as without them, and the log and Describe say so once (matmul2d.go). Their work is
// sized at its own rate (Chip.Speedup); OpenRoofline plans by the fixed variants, and so without them.
//
// Attention keeps scores and weights in the registers of a simd-group between its two products. Where
// elements lie there Apple leaves open, and so do the kernels: they ask (attention_matmul2d.metal says which
// documents they count on).
//
// None of it has run on an M5. The software driver emulates matmul2d, in each way that elements may lie, so that
// the conformance suite, the comparison of all tiles, the reference cases and the mutants of TestMutations cover
// these kernels, and package static holds them to declarations after Apple's.
//
// # Arithmetic
//
// Linear, Attention and Conv multiply in the type of Options.Compute, with sums in
// F32; all other arithmetic is in F32. Operands may be F32, F16 or BF16 and, where
// they are only read, F8_E4M3 and F8_E5M2; weights also INT8, NF4, FP8 with scales and GGUF's formats.
//
// The system's own product, MPSMatrixMultiplication, is not among the variants: it has no BF16, and
// on M1 and M2 it writes NaN into results from some size on (github.com/JuliaGPU/Metal.jl/issues/381).
//
// # What a Mac's system does to long work
//
//   - It stops a command buffer that keeps the screen waiting. pace.go sizes command buffers by the
//     speed that was measured, to a tenth of a second; commandbuffer.go runs what was stopped
//     again, where it has overwritten nothing that it reads, and halves what follows. Else
//     device.ErrInterrupted has the engine begin the step again.
//   - A command buffer may never end. watch.go gives it up, and the device with it.
//   - internal/driver/apple asks the system to be patient (watchdog.go), keeps no residency set, as
//     such have made macOS 15 and 26 panic, and says what to do about each error (errors.go).
//
// # How it is tested without a Mac
//
// The software driver (internal/driver/soft) runs the same kernels on the processor: the
// suite of devicetest and the reference cases pass over it, and package emulated plants faults in it,
// with which the program is tested. Package static has clang read
// what only a Mac compiles. OpenRoofline plans dispatches for a chip and runs nothing. An
// NVIDIA GPU runs the kernels as PTX at the sizes of real checkpoints (package proof, make
// gpu-proof): docs/gpu-proof.md is what came out, docs/gpu-limits.md what limits it there.
//
// TestMutations runs the conformance suite over kernels with one mistake each, built so that a place
// outside of a thread's own array ends the test. By default it tries a few; GIMBAL_MUTATE=. go test
// -run TestMutations -v -timeout 0 tries all. The 1,487, file by file, took 36 minutes on two cores
// that other work shared. Those that may go unnoticed stand in testdata/survivors.txt with the reason.
package metalkit
