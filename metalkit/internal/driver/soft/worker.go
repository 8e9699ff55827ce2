//go:build !darwin

// Package soft runs Metal kernels on the processor. It compiles the files of
// metalkit/kernels as C++, after headers that supply Metal's types, barriers,
// simd-group functions, simdgroup matrices and matmul2d (include/), and runs each thread of
// a threadgroup as a fiber of one operating-system thread (fiber.cpp). A kernel
// whose threads do not all meet where they should is stopped with an error.
//
// It shows what a kernel computes, not how fast: it is the stand-in for a GPU in
// tests. It does not see address spaces, nor races between threadgroups.
package soft

// #cgo CXXFLAGS: -std=c++20 -O2 -Wall -Wno-attributes -Wno-parentheses -Wno-unused-variable -fno-strict-aliasing
// #cgo CPPFLAGS: -I${SRCDIR}/include
// #include <stdlib.h>
// #include "soft.h"
import "C"

import (
	"embed"
	"errors"
	"unsafe"

	"gimbal/metalkit/internal/driver"
	_ "gimbal/metalkit/kernels" // a change of a kernel is a change of this package
)

// A change of a header is a change of this package, too.
//
//go:embed include
var _ embed.FS

// dispatchSize is the size in bytes of the structure that run takes for a dispatch, driver.Dispatch.
func dispatchSize() int { return int(C.soft_dispatch_size()) }

// physicalMemory returns the bytes of memory of this machine.
func physicalMemory() int64 { return int64(C.soft_physical_memory()) }

// kernel is a kernel function.
type kernel struct{ p unsafe.Pointer }

// lookup returns the kernel called name; ok is false if there is none.
func lookup(name string) (k kernel, ok bool) {
	s := C.CString(name)
	defer C.free(unsafe.Pointer(s))
	p := C.soft_kernel(s)
	return kernel{unsafe.Pointer(p)}, p != nil
}

// worker runs threadgroups, one at a time.
type worker struct{ p unsafe.Pointer }

// newWorker returns a worker. One that is backward starts the threads of a
// threadgroup with the last one, which a correct kernel does not notice.
func newWorker(backward bool) (*worker, error) {
	b := C.int(0)
	if backward {
		b = 1
	}
	p := C.soft_worker_new(b)
	if p == nil {
		return nil, errors.New("soft: no memory for the fibers' stacks")
	}
	return &worker{p}, nil
}

// registers says where the elements of cooperative tensors lie.
func (w *worker) registers(r Registers) { C.soft_worker_registers(w.p, C.uint32_t(r)) }

// passes counts the threads that passed barriers of simd-groups for threadgroup memory.
func (w *worker) passes() uint64 { return uint64(C.soft_worker_passes(w.p)) }

// close gives the worker's memory back.
func (w *worker) close() { C.soft_worker_free(w.p) }

// run runs threadgroups first to last-1 of the dispatch at d, with the
// function constants at constants. Handles are addresses of memory that outlives
// the run.
func (w *worker) run(k kernel, constants *driver.Constants, d *driver.Dispatch, first, last uint64) error {
	why := C.soft_run(w.p, k.p, unsafe.Pointer(constants), C.uint32_t(unsafe.Sizeof(*constants)/4), unsafe.Pointer(d), C.uint64_t(first), C.uint64_t(last))
	if why != nil {
		return errors.New("soft: " + C.GoString(why))
	}
	return nil
}

// alloc returns size bytes of zeroed memory outside of Go's heap, or nil. The pages
// before and after are closed.
func alloc(size int64) []byte {
	p := C.soft_alloc(C.size_t(size))
	if p == nil {
		return nil
	}
	return unsafe.Slice((*byte)(p), size)
}

// free gives memory of alloc back.
func free(mem []byte) { C.soft_free(unsafe.Pointer(unsafe.SliceData(mem)), C.size_t(len(mem))) }
