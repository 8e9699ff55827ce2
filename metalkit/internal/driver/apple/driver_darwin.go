package apple

// #cgo LDFLAGS: -framework CoreGraphics -framework Foundation -framework Metal
// #include <stdlib.h>
// #include "metal_darwin.h"
import "C"

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"unsafe"

	"gimbal/inference/device"
	"gimbal/metalkit/internal/driver"
	"gimbal/metalkit/kernels"
)

// Driver runs kernels on the Mac's GPU, by metal_darwin.m.
type Driver struct {
	c C.metal_driver

	mu        sync.Mutex // guards what follows
	pipelines []unsafe.Pointer
	libraries map[string]unsafe.Pointer // each kernel's, compiled when it is first used
}

// Before main, as GLFW's context may be the process's first device. Setenv of a program with
// cgo sets C's variable, too.
var errWatchdog = relaxWatchdog()

// compilers is how many pipelines are made at a time: the system's compiler runs in several
// processes.
const compilers = 4

// Open returns the driver of the Mac's GPU, or says why there is none.
func Open() (driver.Driver, error) {
	if size := unsafe.Sizeof(driver.Dispatch{}); size != C.sizeof_metal_dispatch {
		return nil, fmt.Errorf("a dispatch has %d bytes, metal_darwin.h has %d", size, C.sizeof_metal_dispatch)
	}
	if errWatchdog != nil {
		return nil, fmt.Errorf("environment variable %s: %w", watchdogVariable, errWatchdog)
	}
	d := &Driver{libraries: map[string]unsafe.Pointer{}}
	var why C.metal_error
	if C.metal_open(&d.c, &why) == 0 {
		d.Close()
		_, text := take(why)
		return nil, fmt.Errorf("%s: %w", text, device.ErrUnsupported)
	}
	return d, nil
}

// take returns what went wrong and frees its text.
func take(why C.metal_error) (code int, text string) {
	defer C.free(unsafe.Pointer(why.text))
	return int(why.code), C.GoString(why.text)
}

func (d *Driver) Limits() driver.Limits {
	var l C.metal_limits
	C.metal_describe(&d.c, &l)
	return driver.Limits{
		Name:               C.GoString(&l.name[0]),
		System:             "macOS " + C.GoString(&l.system[0]),
		Timed:              true,
		WorkingSet:         int64(l.working_set),
		MaxBuffer:          int64(l.max_buffer),
		MaxThreads:         int(l.max_threads),
		MaxShared:          int(l.max_shared),
		Compilers:          compilers,
		Matmul2D:           driver.HasMatmul2D(driver.Version{Major: int(l.major), Minor: int(l.minor)}, C.GoString(&l.architecture[0])),
		CommandBufferFLOPs: driver.DefaultCommandBufferFLOPs,
	}
}

func (d *Driver) Alloc(size int64) (driver.Memory, error) {
	var host unsafe.Pointer
	buffer := C.metal_alloc(&d.c, C.uint64_t(size), &host)
	if buffer == 0 {
		return driver.Memory{}, fmt.Errorf("the GPU refuses %d bytes: %w", size, device.ErrOutOfMemory)
	}
	return driver.Memory{Handle: uintptr(buffer), Host: unsafe.Slice((*byte)(host), size)}, nil
}

func (d *Driver) Alias(mem []byte) (driver.Memory, bool) {
	pages, size, offset := driver.WholePages(mem)
	buffer := C.metal_alias(&d.c, C.uintptr_t(pages), C.uint64_t(size))
	if buffer == 0 {
		return driver.Memory{}, false
	}
	return driver.Memory{Handle: uintptr(buffer), Offset: offset, Host: mem}, true
}

func (d *Driver) Free(m driver.Memory) { C.metal_free(C.uintptr_t(m.Handle)) }

func (d *Driver) library(kernel string) (unsafe.Pointer, error) {
	d.mu.Lock()
	library, ok := d.libraries[kernel]
	d.mu.Unlock()
	if ok {
		return library, nil
	}
	source := C.CString(kernels.SourceOf(kernel))
	defer C.free(unsafe.Pointer(source))
	var why C.metal_error
	metal4 := C.int(0)
	if kernels.LanguageOf(kernel) == kernels.Metal4 {
		metal4 = 1
	}
	library = C.metal_library(&d.c, source, metal4, &why)
	if library == nil {
		_, text := take(why)
		return nil, fmt.Errorf("metalkit: kernel %s does not compile: %s", kernel, text)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if first, ok := d.libraries[kernel]; ok { // another goroutine was quicker
		C.metal_release(library)
		return first, nil
	}
	d.libraries[kernel] = library
	return library, nil
}

func (d *Driver) Pipeline(s driver.Specialisation) (int32, error) {
	library, err := d.library(s.Kernel)
	if err != nil {
		return 0, err
	}
	name := C.CString(s.Kernel)
	defer C.free(unsafe.Pointer(name))
	var why C.metal_error
	with := (*C.uint32_t)(unsafe.Pointer(&s.Constants))
	p := C.metal_pipeline(&d.c, library, name, with, C.uint32_t(unsafe.Sizeof(s.Constants)/4), C.uint32_t(s.Threads), &why)
	if p == nil {
		_, text := take(why)
		return 0, fmt.Errorf("metalkit: kernel %s with %+v: %s", s.Kernel, s.Constants, text)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pipelines = append(d.pipelines, p)
	return int32(len(d.pipelines) - 1), nil
}

func (d *Driver) Run(_ context.Context, label string, dispatches []driver.Dispatch) (float64, error) {
	name := C.CString(label)
	defer C.free(unsafe.Pointer(name))
	var seconds C.double
	var why C.metal_error
	d.mu.Lock()
	pipelines := d.pipelines
	d.mu.Unlock()
	if C.metal_run(&d.c, name, (*C.metal_dispatch)(unsafe.Pointer(&dispatches[0])), C.size_t(len(dispatches)), &pipelines[0], &seconds, &why) == 0 {
		return 0, runError(take(why))
	}
	return float64(seconds), nil
}

func (d *Driver) Capture(file string) (stop func() error, err error) {
	name := C.CString(file)
	defer C.free(unsafe.Pointer(name))
	var why C.metal_error
	if C.metal_capture(&d.c, name, &why) == 0 {
		_, text := take(why)
		return nil, errors.New(text)
	}
	return func() error { C.metal_capture_stop(); return nil }, nil
}

func (d *Driver) Close() {
	for _, p := range d.pipelines {
		C.metal_release(p)
	}
	for _, library := range d.libraries {
		C.metal_release(library)
	}
	d.pipelines, d.libraries = nil, nil
	C.metal_close(&d.c)
}
