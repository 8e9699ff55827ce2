//go:build cuda

package libcuda

// #cgo LDFLAGS: -ldl
// #include <stdlib.h>
// #include "cuda.h"
import "C"

import (
	"bytes"
	"errors"
	"fmt"
	"unsafe"
)

// Error is a CUresult.
type Error struct {
	Code int
	Text string
}

func (e *Error) Error() string { return fmt.Sprintf("CUDA error %d, %s", e.Code, e.Text) }

// OutOfMemory is Error.Code where memory does not suffice.
const OutOfMemory = 2

// DispatchSize is the size of driver.Dispatch in bytes.
const DispatchSize = C.sizeof_cuda_dispatch

// Info describes a GPU.
type Info struct {
	Name            string
	Version         int   // of CUDA that the driver knows, 12040 for 12.4
	Memory          int64 // bytes
	Multiprocessors int
	Capability      [2]int
}

// GPU is the first GPU. Its methods may be called from any goroutine, but only one run
// is begun at a time.
type GPU struct{ p *C.cuda_gpu }

// Open opens the GPU.
func Open() (*GPU, Info, error) {
	var info C.cuda_info
	why := make([]byte, 1024)
	p := C.cuda_open(&info, (*C.char)(unsafe.Pointer(&why[0])), C.size_t(len(why)))
	if p == nil {
		return nil, Info{}, errors.New(text(why))
	}
	return &GPU{p}, Info{
		Name: C.GoString(&info.name[0]), Version: int(info.version), Memory: int64(info.memory),
		Multiprocessors: int(info.multiprocessors), Capability: [2]int{int(info.major), int(info.minor)},
	}, nil
}

// Close gives the GPU back; memory and kernels must have been.
func (g *GPU) Close() { C.cuda_close(g.p) }

func (g *GPU) result(code C.int) error {
	if code == 0 {
		return nil
	}
	return &Error{int(code), C.GoString(C.cuda_text(g.p, code))}
}

// Alloc returns the address of zeroed memory.
func (g *GPU) Alloc(size int64) (uintptr, error) {
	var address C.uintptr_t
	err := g.result(C.cuda_alloc(g.p, C.size_t(size), &address))
	return uintptr(address), err
}

// Free gives memory back.
func (g *GPU) Free(address uintptr) { C.cuda_free(g.p, C.uintptr_t(address)) }

// Zero fills memory with zeros.
func (g *GPU) Zero(address uintptr, size int64) error {
	return g.result(C.cuda_zero(g.p, C.uintptr_t(address), C.size_t(size)))
}

// Write copies to the GPU.
func (g *GPU) Write(address uintptr, src []byte) error {
	return g.result(C.cuda_write(g.p, C.uintptr_t(address), unsafe.Pointer(unsafe.SliceData(src)), C.size_t(len(src))))
}

// Read copies from the GPU.
func (g *GPU) Read(dst []byte, address uintptr) error {
	return g.result(C.cuda_read(g.p, unsafe.Pointer(unsafe.SliceData(dst)), C.uintptr_t(address), C.size_t(len(dst))))
}

// Room returns the GPU's bytes that are free, and all.
func (g *GPU) Room() (available, total int64, err error) {
	var a, t C.size_t
	err = g.result(C.cuda_room(g.p, &a, &t))
	return int64(a), int64(t), err
}

// Kernel is a compiled kernel.
type Kernel struct{ module, function unsafe.Pointer }

// Load compiles a text of PTX for the GPU.
func (g *GPU) Load(ptx, name string) (k Kernel, err error) {
	source, entry := C.CString(ptx), C.CString(name)
	defer C.free(unsafe.Pointer(source))
	defer C.free(unsafe.Pointer(entry))
	log := make([]byte, 8<<10)
	code := C.cuda_load(g.p, source, entry, &k.module, &k.function, (*C.char)(unsafe.Pointer(&log[0])), C.size_t(len(log)))
	if err := g.result(code); err != nil {
		return Kernel{}, fmt.Errorf("%w: %s", err, text(log))
	}
	return k, nil
}

// Unload gives a kernel back.
func (g *GPU) Unload(k Kernel) { C.cuda_unload(g.p, k.module) }

// Uses returns the registers and the bytes of local memory that a thread of k has.
func (g *GPU) Uses(k Kernel) (registers, local int, err error) {
	var r, l C.int
	err = g.result(C.cuda_uses(g.p, k.function, &r, &l))
	return int(r), int(l), err
}

// Begin starts the clock of a run.
func (g *GPU) Begin() error { return g.result(C.cuda_begin(g.p)) }

// Launch starts the dispatch at d, of DispatchSize bytes without a pointer.
func (g *GPU) Launch(k Kernel, d unsafe.Pointer) error {
	return g.result(C.cuda_launch(g.p, k.function, (*C.cuda_dispatch)(d)))
}

// End waits for what was launched since Begin and returns the GPU's seconds.
func (g *GPU) End() (float64, error) {
	var ms C.float
	err := g.result(C.cuda_end(g.p, &ms))
	return float64(ms) / 1000, err
}

func text(b []byte) string {
	b, _, _ = bytes.Cut(b, []byte{0})
	return string(bytes.TrimSpace(b))
}
