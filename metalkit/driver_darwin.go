package metalkit

// #cgo LDFLAGS: -framework Foundation -framework Metal -framework MetalPerformanceShaders
// #include <stdlib.h>
// #include "metal_darwin.h"
import "C"

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"unsafe"

	"github.com/progrium/macdriver/macos/foundation"
	"github.com/progrium/macdriver/macos/metal"
	"github.com/progrium/macdriver/objc"

	"gimbal/inference/device"
	"gimbal/metalkit/kernels"
)

// appleDriver runs kernels on the Mac's GPU, by metal_darwin.m.
type appleDriver struct {
	mu      sync.Mutex // guards what c keeps resident
	c       C.metal_driver
	kernels []C.metal_kernel

	libraries map[string]unsafe.Pointer // each kernel's, compiled when it is first used
}

// newDriver returns a driver or what there is instead.
func newDriver() (driver, error) {
	if size := unsafe.Sizeof(call{}); size != C.sizeof_metal_call {
		return nil, fmt.Errorf("a call has %d bytes, metal_darwin.h has %d", size, C.sizeof_metal_call)
	}
	d := &appleDriver{libraries: map[string]unsafe.Pointer{}}
	var why C.metal_error
	if C.metal_open(&d.c, &why) == 0 {
		d.close()
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

func (d *appleDriver) limits() (l limits) {
	objc.WithAutoreleasePool(func() {
		gpu := metal.DeviceWrapper{Object: objc.ObjectFrom(d.c.device)}
		l = limits{
			name:       gpu.Name(),
			system:     "macOS " + foundation.ProcessInfo_ProcessInfo().OperatingSystemVersionString(),
			timed:      true,
			workingSet: int64(gpu.RecommendedMaxWorkingSetSize()),
			maxBuffer:  int64(gpu.MaxBufferLength()),
			maxThreads: int(C.metal_max_threads(&d.c)),
			maxShared:  int(gpu.MaxThreadgroupMemoryLength()),
			work:       workOfRun,
		}
	})
	return l
}

// alloc keeps memory resident between runs.
func (d *appleDriver) alloc(size int64) (memory, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var host unsafe.Pointer
	buffer := C.metal_alloc(&d.c, C.uint64_t(size), &host)
	if buffer == 0 {
		return memory{}, fmt.Errorf("the GPU refuses %d bytes: %w", size, device.ErrOutOfMemory)
	}
	return memory{handle: uintptr(buffer), host: unsafe.Slice((*byte)(host), size)}, nil
}

// alias leaves memory to be resident in the runs that use it only: a checkpoint may
// be larger than memory.
func (d *appleDriver) alias(mem []byte) (memory, bool) {
	pages, size, offset := wholePages(mem)
	buffer := C.metal_alias(&d.c, C.uintptr_t(pages), C.uint64_t(size))
	if buffer == 0 {
		return memory{}, false
	}
	return memory{handle: uintptr(buffer), offset: offset, host: mem}, true
}

func (d *appleDriver) free(m memory) {
	d.mu.Lock()
	defer d.mu.Unlock()
	C.metal_free(&d.c, C.uintptr_t(m.handle))
}

func (d *appleDriver) library(kernel string) (unsafe.Pointer, error) {
	if library, ok := d.libraries[kernel]; ok {
		return library, nil
	}
	source := C.CString(kernels.SourceOf(kernel))
	defer C.free(unsafe.Pointer(source))
	var why C.metal_error
	library := C.metal_library(&d.c, source, &why)
	if library == nil {
		_, text := take(why)
		return nil, fmt.Errorf("metalkit: kernel %s does not compile: %s", kernel, text)
	}
	d.libraries[kernel] = library
	return library, nil
}

func (d *appleDriver) pipeline(s specialisation) (int32, error) {
	k := C.metal_kernel{x: C.uint32_t(s.constants.a), w: C.uint32_t(s.constants.b), y: C.uint32_t(s.constants.y)}
	if s.kernel == matmulKernel {
		if !matmulTypes(s.constants) || C.metal_has_matmul(&d.c) == 0 {
			return 0, errNoMatmul(s.constants)
		}
	} else {
		library, err := d.library(s.kernel)
		if err != nil {
			return 0, err
		}
		name := C.CString(s.kernel)
		defer C.free(unsafe.Pointer(name))
		var why C.metal_error
		with := (*C.uint32_t)(unsafe.Pointer(&s.constants))
		k.state = C.metal_pipeline(&d.c, library, name, with, C.uint32_t(unsafe.Sizeof(s.constants)/4), C.uint32_t(s.threads), &why)
		if k.state == nil {
			_, text := take(why)
			return 0, fmt.Errorf("metalkit: kernel %s with %+v: %s", s.kernel, s.constants, text)
		}
	}
	d.kernels = append(d.kernels, k)
	return int32(len(d.kernels) - 1), nil
}

func (d *appleDriver) run(_ context.Context, label string, calls []call) (float64, error) {
	d.mu.Lock()
	C.metal_settle(&d.c)
	d.mu.Unlock()
	name := C.CString(label)
	defer C.free(unsafe.Pointer(name))
	var seconds C.double
	var why C.metal_error
	if C.metal_run(&d.c, name, (*C.metal_call)(unsafe.Pointer(&calls[0])), C.size_t(len(calls)), &d.kernels[0], &seconds, &why) == 0 {
		return 0, runError(take(why))
	}
	return float64(seconds), nil
}

func (d *appleDriver) capture(file string) (stop func() error, err error) {
	name := C.CString(file)
	defer C.free(unsafe.Pointer(name))
	var why C.metal_error
	if C.metal_capture(&d.c, name, &why) == 0 {
		_, text := take(why)
		return nil, errors.New(text)
	}
	return func() error { C.metal_capture_stop(); return nil }, nil
}

func (d *appleDriver) close() {
	for _, k := range d.kernels {
		C.metal_release(k.state)
	}
	for _, library := range d.libraries {
		C.metal_release(library)
	}
	d.kernels, d.libraries = nil, nil
	C.metal_close(&d.c)
}
