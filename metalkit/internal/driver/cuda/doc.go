// Package cuda is the driver of an NVIDIA GPU. It runs the kernels as PTX, which package
// ptx below has clang make of the same sources (make ptx), to prove them at the sizes of
// real checkpoints (make gpu-proof, package metalkit/proof). It is there with the build tag
// cuda only, and part of no program. Package libcuda below calls NVIDIA's driver.
package cuda
