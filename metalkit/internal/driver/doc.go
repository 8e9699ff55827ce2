// Package driver is the seam between the Metal device and what runs its kernels: memory,
// pipelines (a kernel by name, with values for its function constants) and the run of a
// recorded list of dispatches.
//
// There is one driver in each package below:
//
//	apple  a Mac's GPU, by Metal; elsewhere it only says that there is none
//	soft   the processor, which runs the same kernels as C++: for tests on any machine
//	cuda   an NVIDIA GPU, which runs the same kernels as PTX: to prove them at real sizes (build tag cuda)
//	dry    nothing: it has no memory and runs nothing, for plans
//
// Another driver is another package with a type that implements Driver, and a function
// Open of package metalkit that opens it. A driver whose GPU does not share the host's
// memory implements Discrete.
package driver
