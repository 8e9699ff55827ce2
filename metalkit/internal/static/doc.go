// Package static checks, by its tests, what only a Mac compiles: clang reads the
// Objective-C against declarations of our own (testdata/apple) and the kernels as
// C++ for OpenCL (testdata/opencl), whose address spaces are Metal's, those of the second source
// as C++20 with address spaces for attributes (testdata/metal4). A selector
// that metal_darwin.m sends must be declared there, after Apple's documentation, and be
// among macdriver's bindings, which were made of Apple's headers, or in a list with the reason.
package static
