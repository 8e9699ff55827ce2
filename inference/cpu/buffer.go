package cpu

// #include "kernels.h"
import "C"

import (
	"context"
	"fmt"
	"sync/atomic"
	"unsafe"

	"gimbal/inference/device"
)

// memory is zeroed memory outside of Go's heap.
type memory struct {
	p    unsafe.Pointer
	size int64
}

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

type buffer struct {
	dev      *cpuDevice
	desc     device.Desc
	own      memory // of Alloc
	mapped   []byte // of Map
	isMapped bool
	release  func()
	released atomic.Bool
}

func (b *buffer) Desc() device.Desc { return b.desc }

func (b *buffer) Release() {
	if b.released.Swap(true) {
		return
	}
	size := b.own.size
	b.own.free()
	b.mapped = nil
	if b.release != nil {
		b.release()
	}
	b.dev.mu.Lock()
	defer b.dev.mu.Unlock()
	delete(b.dev.buffers, b)
	b.dev.allocated -= size
}

// pointer returns the address of b's first element.
func (b *buffer) pointer() unsafe.Pointer {
	if b.released.Load() {
		panic(fmt.Sprintf("cpu: %q is used after its release", b.desc.Label))
	}
	if b.isMapped {
		return unsafe.Pointer(unsafe.SliceData(b.mapped))
	}
	return b.own.p
}

func (b *buffer) bytes() []byte { return unsafe.Slice((*byte)(b.pointer()), b.desc.Bytes()) }

// find returns b as a buffer of d and panics if it is none.
func (d *cpuDevice) find(b device.Buffer) *buffer {
	own, ok := b.(*buffer)
	if !ok || own.dev != d {
		panic(fmt.Sprintf("cpu: %q is a buffer of another device", b.Desc().Label))
	}
	return own
}

func checkDesc(desc device.Desc) error {
	size := int64(desc.DType.Size())
	for _, s := range desc.Shape {
		if s < 0 {
			return fmt.Errorf("cpu: %q has shape %v", desc.Label, desc.Shape)
		}
		if s > 0 && size > (1<<62)/int64(s) {
			return fmt.Errorf("cpu: %q of %v %v: %w", desc.Label, desc.DType, desc.Shape, device.ErrOutOfMemory)
		}
		size *= int64(s)
	}
	return nil
}

func (d *cpuDevice) Alloc(desc device.Desc) (device.Buffer, error) {
	if err := checkDesc(desc); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	b := &buffer{dev: d, desc: desc}
	if err := d.add(b); err != nil {
		return nil, err
	}
	size := desc.Bytes()
	own, ok := memory{}, size <= d.limit-d.allocated
	if ok {
		own, ok = newMemory(size)
	}
	if !ok {
		delete(d.buffers, b)
		return nil, fmt.Errorf("cpu: no %d bytes for %q, with %d of %d in use: %w", size, desc.Label, d.allocated, d.limit, device.ErrOutOfMemory)
	}
	b.own = own
	d.allocated += size
	d.peak = max(d.peak, d.allocated)
	return b, nil
}

// add keeps b until its release; d.mu is held.
func (d *cpuDevice) add(b *buffer) error {
	if d.closed {
		return fmt.Errorf("cpu: %q: the device is closed: %w", b.desc.Label, device.ErrDeviceLost)
	}
	d.buffers[b] = true
	return nil
}

// Map aliases mem, at any alignment.
func (d *cpuDevice) Map(desc device.Desc, mem []byte, release func()) (device.Buffer, error) {
	if err := checkDesc(desc); err != nil {
		return nil, err
	}
	if int64(len(mem)) != desc.Bytes() {
		return nil, fmt.Errorf("cpu: map of %q: %d bytes, want %d for %v %v", desc.Label, len(mem), desc.Bytes(), desc.DType, desc.Shape)
	}
	b := &buffer{dev: d, desc: desc, mapped: mem, isMapped: true, release: release}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.add(b); err != nil {
		return nil, err
	}
	return b, nil
}

func (d *cpuDevice) Write(ctx context.Context, dst device.Buffer, src []byte) error {
	b := d.find(dst)
	if b.isMapped {
		panic(fmt.Sprintf("cpu: write to %q, which is mapped", b.desc.Label))
	}
	return copyBytes(ctx, "write", b, b.bytes(), src)
}

func (d *cpuDevice) Read(ctx context.Context, dst []byte, src device.Buffer) error {
	b := d.find(src)
	return copyBytes(ctx, "read", b, dst, b.bytes())
}

// copyBytes copies in parts, so that an end of ctx is seen in time.
func copyBytes(ctx context.Context, what string, b *buffer, dst, src []byte) error {
	if len(dst) != len(src) {
		return fmt.Errorf("cpu: %s of %q: %d bytes to %d", what, b.desc.Label, len(src), len(dst))
	}
	const part = 64 << 20
	for {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("cpu: %s of %q: %w", what, b.desc.Label, err)
		}
		n := copy(dst[:min(part, len(dst))], src)
		if dst, src = dst[n:], src[n:]; len(src) == 0 {
			return nil
		}
	}
}
