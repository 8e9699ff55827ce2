//go:build !darwin

// Package soft runs Metal kernels on the processor. It compiles the files of
// metalkit/kernels as C++, after headers that supply Metal's types, barriers,
// simd-group functions and simdgroup matrices (include/), and runs each thread of
// a threadgroup as a fiber of one operating-system thread (fiber.cpp). A kernel
// whose threads do not all meet where they should is stopped with an error.
//
// It shows what a kernel computes, not how fast: it is the stand-in for a GPU in
// tests. It does not see address spaces, nor races between threadgroups.
package soft

// #cgo CXXFLAGS: -std=c++17 -O2 -Wall -Wno-attributes -Wno-parentheses -Wno-unused-variable -fno-strict-aliasing
// #cgo CPPFLAGS: -I${SRCDIR}/include
// #include <stdlib.h>
// #include "soft.h"
import "C"

import (
	"errors"
	"unsafe"

	_ "gimbal/metalkit/kernels" // a change of a kernel is a change of this package
)

// CallSize is the size in bytes of the structure that Run takes for a dispatch:
//
//	struct {
//		pipeline int32 // not read
//		threads  uint32
//		groups   [3]uint32
//		buffers  uint32
//		bind     [12]struct{ handle uintptr; offset uint64 }
//		args     [192]byte
//	}
func CallSize() int { return int(C.soft_call_size()) }

// PhysicalMemory returns the bytes of memory of this machine.
func PhysicalMemory() int64 { return int64(C.soft_physical_memory()) }

// Kernel is a kernel function.
type Kernel struct{ p unsafe.Pointer }

// Lookup returns the kernel called name; ok is false if there is none.
func Lookup(name string) (k Kernel, ok bool) {
	s := C.CString(name)
	defer C.free(unsafe.Pointer(s))
	p := C.soft_kernel(s)
	return Kernel{unsafe.Pointer(p)}, p != nil
}

// Worker runs threadgroups, one at a time.
type Worker struct{ p unsafe.Pointer }

// NewWorker returns a worker. One that is backward starts the threads of a
// threadgroup with the last one, which a correct kernel does not notice.
func NewWorker(backward bool) (*Worker, error) {
	b := C.int(0)
	if backward {
		b = 1
	}
	p := C.soft_worker_new(b)
	if p == nil {
		return nil, errors.New("soft: no memory for the fibers' stacks")
	}
	return &Worker{p}, nil
}

// Close gives the worker's memory back.
func (w *Worker) Close() { C.soft_worker_free(w.p) }

// Run runs threadgroups first to last-1 of the dispatch at call, with the
// function constants at constants. Handles are addresses of memory that outlives
// the call.
func (w *Worker) Run(k Kernel, constants, call unsafe.Pointer, first, last uint64) error {
	why := C.soft_run(w.p, k.p, constants, call, C.uint64_t(first), C.uint64_t(last))
	if why != nil {
		return errors.New("soft: " + C.GoString(why))
	}
	return nil
}

// Alloc returns size bytes of zeroed memory outside of Go's heap, or nil. The pages
// before and after are closed.
func Alloc(size int64) []byte {
	p := C.soft_alloc(C.size_t(size))
	if p == nil {
		return nil
	}
	return unsafe.Slice((*byte)(p), size)
}

// Free gives memory of Alloc back.
func Free(mem []byte) { C.soft_free(unsafe.Pointer(unsafe.SliceData(mem)), C.size_t(len(mem))) }
