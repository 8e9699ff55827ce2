package host

import (
	"context"
	"fmt"
	"sync/atomic"

	"gimbal/inference/device"
	"gimbal/inference/device/mapped"
)

// Buffer is a device.Buffer.
type Buffer[M Memory] struct {
	Mem    M
	Mapped bool // by Map: it may not be written

	dev      *Device[M]
	desc     device.Desc
	counted  int64 // as allocated
	release  func()
	released atomic.Bool
}

// Desc implements device.Buffer.
func (b *Buffer[M]) Desc() device.Desc { return b.desc }

// Bytes returns the elements.
func (b *Buffer[M]) Bytes() []byte { return b.Mem.Bytes()[:b.desc.Bytes()] }

// Release implements device.Buffer.
func (b *Buffer[M]) Release() {
	if b.released.Swap(true) {
		return
	}
	d := b.dev
	d.mu.Lock()
	delete(d.live, b)
	d.allocated -= b.counted
	d.free(b.Mem, b.counted)
	var none M
	b.Mem = none
	d.mu.Unlock()
	if b.release != nil {
		b.release()
	}
}

// Provide returns a buffer of memory that provide returns, which counts as so many
// bytes: device.Device's Alloc. It fails with ErrOutOfMemory without calling provide
// where they are more than the room that the limit leaves. The calls of provide, and
// those of New's free, come one at a time.
func (d *Device[M]) Provide(desc device.Desc, counted int64, provide func(room int64) (M, error)) (*Buffer[M], error) {
	if err := d.check(desc); err != nil {
		return nil, err
	}
	b := &Buffer[M]{dev: d, desc: desc, counted: counted}
	d.mu.Lock()
	defer d.mu.Unlock()
	err := d.lost()
	if err == nil {
		err = d.fill(b, provide)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %q of %v %v: %w", d.name, desc.Label, desc.DType, desc.Shape, err)
	}
	return b, nil
}

// fill gives b its memory and counts it.
func (d *Device[M]) fill(b *Buffer[M], provide func(room int64) (M, error)) (err error) {
	err = device.ErrOutOfMemory
	if b.counted <= d.limit-d.allocated {
		b.Mem, err = provide(d.limit - d.allocated)
	}
	if err != nil {
		return fmt.Errorf("%d bytes, with %d of %d in use: %w", b.counted, d.allocated, d.limit, err)
	}
	d.live[b] = true
	d.allocated += b.counted
	d.peak = max(d.peak, d.allocated)
	return nil
}

// Adopt returns a buffer over mem: device.Device's Map. alias returns the memory, and
// whether that is a copy.
func (d *Device[M]) Adopt(desc device.Desc, mem []byte, release func(), alias func() (m M, copied bool, err error)) (*Buffer[M], error) {
	if err := d.check(desc); err != nil {
		return nil, err
	}
	if int64(len(mem)) != desc.Bytes() {
		return nil, fmt.Errorf("%s: map of %q: %d bytes, want %d for %v %v", d.name, desc.Label, len(mem), desc.Bytes(), desc.DType, desc.Shape)
	}
	b := &Buffer[M]{dev: d, desc: desc, Mapped: true, release: release}
	copied, err := d.adopt(b, alias)
	if err != nil {
		return nil, fmt.Errorf("%s: map of %q: %w", d.name, desc.Label, err)
	}
	if copied {
		if b.release = nil; release != nil {
			release()
		}
	}
	return b, nil
}

func (d *Device[M]) adopt(b *Buffer[M], alias func() (M, bool, error)) (copied bool, err error) {
	if err := d.open(); err != nil {
		return false, err
	}
	if b.Mem, copied, err = alias(); err != nil {
		return false, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.lost(); err != nil {
		d.free(b.Mem, 0)
		return false, err
	}
	d.live[b] = true
	return copied, nil
}

// check checks that the elements can be counted.
func (d *Device[M]) check(desc device.Desc) error {
	size := int64(desc.DType.Size())
	for _, s := range desc.Shape {
		if s < 0 {
			return fmt.Errorf("%s: %q has shape %v", d.name, desc.Label, desc.Shape)
		}
		if s > 0 && size > (1<<62)/int64(s) {
			return fmt.Errorf("%s: %q of %v %v: %w", d.name, desc.Label, desc.DType, desc.Shape, device.ErrOutOfMemory)
		}
		size *= int64(s)
	}
	return nil
}

// Find returns b as a buffer of d and panics if it is none, or released.
func (d *Device[M]) Find(b device.Buffer) *Buffer[M] {
	own, ok := b.(*Buffer[M])
	if !ok || own.dev != d {
		panic(fmt.Sprintf("%s: %q is a buffer of another device", d.name, b.Desc().Label))
	}
	if own.released.Load() {
		panic(fmt.Sprintf("%s: %q is used after its release", d.name, own.desc.Label))
	}
	return own
}

// FindWritable is Find for a destination, which may not be mapped.
func (d *Device[M]) FindWritable(b device.Buffer) *Buffer[M] {
	own := d.Find(b)
	if own.Mapped {
		panic(fmt.Sprintf("%s: %q is mapped and cannot be written", d.name, own.desc.Label))
	}
	return own
}

// Write implements device.Device.
func (d *Device[M]) Write(ctx context.Context, dst device.Buffer, src []byte) error {
	b := d.FindWritable(dst)
	return d.copy(ctx, "write", b, b.Bytes(), src)
}

// Read implements device.Device.
func (d *Device[M]) Read(ctx context.Context, dst []byte, src device.Buffer) error {
	b := d.Find(src)
	return d.copy(ctx, "read", b, dst, b.Bytes())
}

// copy copies in parts, so that an end of ctx is seen in time.
func (d *Device[M]) copy(ctx context.Context, what string, b *Buffer[M], dst, src []byte) error {
	if len(dst) != len(src) {
		return fmt.Errorf("%s: %s of %q: %d bytes to %d", d.name, what, b.desc.Label, len(src), len(dst))
	}
	const part = 64 << 20
	for {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("%s: %s of %q: %w", d.name, what, b.desc.Label, err)
		}
		n := copy(dst[:min(part, len(dst))], src)
		if err := mapped.Lost(); err != nil {
			return fmt.Errorf("%s: %s of %q: %w", d.name, what, b.desc.Label, err)
		}
		if dst, src = dst[n:], src[n:]; len(src) == 0 {
			return nil
		}
	}
}
