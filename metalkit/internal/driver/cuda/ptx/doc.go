// Package ptx compiles the Metal kernels to PTX, the assembly language of NVIDIA's GPUs,
// with clang and the headers in include, in place of Metal's.
//
// A text is of one kernel and one value of the function constant ALIGNED. The other
// constants stand in it as FUNCTION_CONSTANT_0 to 5, which Specialise replaces.
package ptx
