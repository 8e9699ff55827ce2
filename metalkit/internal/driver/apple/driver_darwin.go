package apple

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
	"gimbal/metalkit/internal/driver"
	"gimbal/metalkit/kernels"
)

// Driver runs kernels on the Mac's GPU, by metal_darwin.m.
type Driver struct {
	mu      sync.Mutex // guards what c keeps resident
	c       C.metal_driver
	kernels []C.metal_kernel

	libraries map[string]unsafe.Pointer // each kernel's, compiled when it is first used
}

// Open returns the driver of the Mac's GPU, or says why there is none.
func Open() (driver.Driver, error) {
	if size := unsafe.Sizeof(driver.Dispatch{}); size != C.sizeof_metal_dispatch {
		return nil, fmt.Errorf("a dispatch has %d bytes, metal_darwin.h has %d", size, C.sizeof_metal_dispatch)
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

func (d *Driver) Limits() (l driver.Limits) {
	objc.WithAutoreleasePool(func() {
		gpu := metal.DeviceWrapper{Object: objc.ObjectFrom(d.c.device)}
		l = driver.Limits{
			Name:               gpu.Name(),
			System:             "macOS " + foundation.ProcessInfo_ProcessInfo().OperatingSystemVersionString(),
			Timed:              true,
			WorkingSet:         int64(gpu.RecommendedMaxWorkingSetSize()),
			MaxBuffer:          int64(gpu.MaxBufferLength()),
			MaxThreads:         int(C.metal_max_threads(&d.c)),
			MaxShared:          int(gpu.MaxThreadgroupMemoryLength()),
			CommandBufferFLOPs: driver.DefaultCommandBufferFLOPs,
		}
	})
	return l
}

// Alloc keeps memory resident between runs.
func (d *Driver) Alloc(size int64) (driver.Memory, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var host unsafe.Pointer
	buffer := C.metal_alloc(&d.c, C.uint64_t(size), &host)
	if buffer == 0 {
		return driver.Memory{}, fmt.Errorf("the GPU refuses %d bytes: %w", size, device.ErrOutOfMemory)
	}
	return driver.Memory{Handle: uintptr(buffer), Host: unsafe.Slice((*byte)(host), size)}, nil
}

// Alias leaves memory to be resident in the runs that use it only: a checkpoint may
// be larger than memory.
func (d *Driver) Alias(mem []byte) (driver.Memory, bool) {
	pages, size, offset := driver.WholePages(mem)
	buffer := C.metal_alias(&d.c, C.uintptr_t(pages), C.uint64_t(size))
	if buffer == 0 {
		return driver.Memory{}, false
	}
	return driver.Memory{Handle: uintptr(buffer), Offset: offset, Host: mem}, true
}

func (d *Driver) Free(m driver.Memory) {
	d.mu.Lock()
	defer d.mu.Unlock()
	C.metal_free(&d.c, C.uintptr_t(m.Handle))
}

func (d *Driver) library(kernel string) (unsafe.Pointer, error) {
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

func (d *Driver) Pipeline(s driver.Specialisation) (int32, error) {
	k := C.metal_kernel{x: C.uint32_t(s.Constants.A), w: C.uint32_t(s.Constants.B), y: C.uint32_t(s.Constants.Y)}
	if s.Kernel == driver.Matmul {
		if !driver.HasMatmul(s.Constants) || C.metal_has_matmul(&d.c) == 0 {
			return 0, driver.NoMatmul(s.Constants)
		}
	} else {
		library, err := d.library(s.Kernel)
		if err != nil {
			return 0, err
		}
		name := C.CString(s.Kernel)
		defer C.free(unsafe.Pointer(name))
		var why C.metal_error
		with := (*C.uint32_t)(unsafe.Pointer(&s.Constants))
		k.state = C.metal_pipeline(&d.c, library, name, with, C.uint32_t(unsafe.Sizeof(s.Constants)/4), C.uint32_t(s.Threads), &why)
		if k.state == nil {
			_, text := take(why)
			return 0, fmt.Errorf("metalkit: kernel %s with %+v: %s", s.Kernel, s.Constants, text)
		}
	}
	d.kernels = append(d.kernels, k)
	return int32(len(d.kernels) - 1), nil
}

func (d *Driver) Run(_ context.Context, label string, dispatches []driver.Dispatch) (float64, error) {
	d.mu.Lock()
	C.metal_settle(&d.c)
	d.mu.Unlock()
	name := C.CString(label)
	defer C.free(unsafe.Pointer(name))
	var seconds C.double
	var why C.metal_error
	if C.metal_run(&d.c, name, (*C.metal_dispatch)(unsafe.Pointer(&dispatches[0])), C.size_t(len(dispatches)), &d.kernels[0], &seconds, &why) == 0 {
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
	for _, k := range d.kernels {
		C.metal_release(k.state)
	}
	for _, library := range d.libraries {
		C.metal_release(library)
	}
	d.kernels, d.libraries = nil, nil
	C.metal_close(&d.c)
}
