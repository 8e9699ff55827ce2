package cpu

// #include "kernels.h"
import "C"

import (
	"fmt"
	"unsafe"

	"gimbal/inference/device"
	"gimbal/inference/device/host"
)

// memory is zeroed memory outside of Go's heap, or what Map is given.
type memory struct {
	p    unsafe.Pointer
	size int64
}

type buffer = host.Buffer[memory]

func newMemory(size int64) (memory, bool) {
	if size == 0 {
		return memory{}, true
	}
	p := C.gb_alloc(C.size_t(size))
	if p == nil {
		return memory{}, false
	}
	return memory{p, size}, true
}

// Bytes implements host.Memory.
func (m memory) Bytes() []byte { return unsafe.Slice((*byte)(m.p), m.size) }

func (m *memory) free() {
	if m.size > 0 {
		C.gb_free(m.p, C.size_t(m.size))
	}
	*m = memory{}
}

// grow makes m at least size bytes large; what it held is lost if it was smaller.
func (m *memory) grow(size int64) error {
	if m.size >= size {
		return nil
	}
	m.free()
	grown, ok := newMemory(size)
	if !ok {
		return fmt.Errorf("cpu: %d bytes of scratch memory: %w", size, device.ErrOutOfMemory)
	}
	*m = grown
	return nil
}

func (d *cpuDevice) Alloc(desc device.Desc) (device.Buffer, error) {
	b, err := d.Provide(desc, desc.Bytes(), func(int64) (memory, error) {
		m, ok := newMemory(desc.Bytes())
		if !ok {
			return m, device.ErrOutOfMemory
		}
		return m, nil
	})
	if err != nil {
		return nil, err
	}
	return b, nil
}

// Map aliases mem, at any alignment.
func (d *cpuDevice) Map(desc device.Desc, mem []byte, release func()) (device.Buffer, error) {
	b, err := d.Adopt(desc, mem, release, func() (memory, bool, error) {
		return memory{unsafe.Pointer(unsafe.SliceData(mem)), int64(len(mem))}, false, nil
	})
	if err != nil {
		return nil, err
	}
	return b, nil
}
