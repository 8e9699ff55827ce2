package metalkit

import (
	"context"
	"fmt"
	"sync/atomic"
	"unsafe"

	"gimbal/inference/device"
)

type buffer struct {
	dev      *gpu
	desc     device.Desc
	mem      memory
	size     int64 // counted as allocated
	mapped   bool
	release  func()
	released atomic.Bool
}

func (b *buffer) Desc() device.Desc { return b.desc }

func (b *buffer) Release() {
	if b.released.Swap(true) {
		return
	}
	d := b.dev
	d.mu.Lock()
	delete(d.buffers, b)
	d.allocated -= b.size
	switch {
	case b.mem.host == nil: // of no bytes
	case b.size > 0 && !d.closed:
		d.pool.put(d.drv, b.mem, b.size, d.limit/8)
	default:
		d.drv.free(b.mem)
	}
	d.mu.Unlock()
	if b.release != nil {
		b.release()
	}
}

// pool keeps memory of released buffers for the next ones of the same size.
type pool struct {
	free map[int64][]memory
	held int64 // bytes
}

// take returns memory of size bytes, which is not zeroed.
func (p *pool) take(size int64) (memory, bool) {
	list := p.free[size]
	if len(list) == 0 {
		return memory{}, false
	}
	m := list[len(list)-1]
	p.free[size] = list[:len(list)-1]
	p.held -= size
	return m, true
}

// put keeps m, or frees it where the pool would hold more than most bytes.
func (p *pool) put(drv driver, m memory, size, most int64) {
	if p.held+size > most {
		drv.free(m)
		return
	}
	p.free[size] = append(p.free[size], m)
	p.held += size
}

func (p *pool) drain(drv driver) {
	for _, list := range p.free {
		for _, m := range list {
			drv.free(m)
		}
	}
	clear(p.free)
	p.held = 0
}

func checkDesc(desc device.Desc) error {
	size := int64(desc.DType.Size())
	for _, s := range desc.Shape {
		if s < 0 {
			return fmt.Errorf("metalkit: %q has shape %v", desc.Label, desc.Shape)
		}
		if s > 0 && size > (1<<62)/int64(s) {
			return fmt.Errorf("metalkit: %q of %v %v: %w", desc.Label, desc.DType, desc.Shape, device.ErrOutOfMemory)
		}
		size *= int64(s)
	}
	return nil
}

func (d *gpu) Alloc(desc device.Desc) (device.Buffer, error) {
	if err := checkDesc(desc); err != nil {
		return nil, err
	}
	b := &buffer{dev: d, desc: desc, size: (desc.Bytes() + pageSize - 1) / pageSize * pageSize}
	d.mu.Lock()
	fresh, err := d.provide(b)
	d.mu.Unlock()
	if err != nil {
		return nil, fmt.Errorf("metalkit: %q of %v %v: %w", desc.Label, desc.DType, desc.Shape, err)
	}
	if !fresh {
		clear(b.mem.host)
	}
	return b, nil
}

// provide gives b its memory and counts it; fresh says whether that is zeroed.
func (d *gpu) provide(b *buffer) (fresh bool, err error) {
	if d.closed {
		return false, fmt.Errorf("the device is closed: %w", device.ErrDeviceLost)
	}
	if b.size > d.limit-d.allocated {
		return false, fmt.Errorf("%d bytes, with %d of %d in use: %w", b.size, d.allocated, d.limit, device.ErrOutOfMemory)
	}
	if b.size > 0 {
		var pooled bool
		if b.mem, pooled = d.pool.take(b.size); !pooled {
			if b.size > d.limit-d.allocated-d.pool.held {
				d.pool.drain(d.drv)
			}
			if b.mem, err = d.drv.alloc(b.size); err != nil {
				return false, fmt.Errorf("%d bytes, with %d of %d in use: %w", b.size, d.allocated, d.limit, err)
			}
			fresh = true
		}
	}
	d.buffers[b] = true
	d.allocated += b.size
	d.peak = max(d.peak, d.allocated)
	return fresh, nil
}

// Map aliases mem where the driver can and the elements are aligned.
func (d *gpu) Map(desc device.Desc, mem []byte, release func()) (device.Buffer, error) {
	if err := checkDesc(desc); err != nil {
		return nil, err
	}
	if int64(len(mem)) != desc.Bytes() {
		return nil, fmt.Errorf("metalkit: map of %q: %d bytes, want %d for %v %v", desc.Label, len(mem), desc.Bytes(), desc.DType, desc.Shape)
	}
	if err := d.open(); err != nil {
		return nil, fmt.Errorf("metalkit: map of %q: %w", desc.Label, err)
	}
	b := &buffer{dev: d, desc: desc, mapped: true, release: release}
	if len(mem) > 0 {
		var aliased bool
		if uintptr(unsafe.Pointer(unsafe.SliceData(mem)))%uintptr(desc.DType.Size()) == 0 {
			b.mem, aliased = d.drv.alias(mem, false)
		}
		if !aliased {
			var err error
			if b.mem, err = d.drv.alloc(int64(len(mem))); err != nil {
				return nil, fmt.Errorf("metalkit: copy of %q: %w", desc.Label, err)
			}
			copy(b.mem.host, mem)
			if release != nil {
				release()
			}
			b.release = nil
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.buffers[b] = true
	return b, nil
}

func (d *gpu) Write(ctx context.Context, dst device.Buffer, src []byte) error {
	b := d.find(dst)
	if b.mapped {
		panic(fmt.Sprintf("metalkit: write to %q, which is mapped", b.desc.Label))
	}
	return copyBytes(ctx, "write", b, b.bytes(), src)
}

func (d *gpu) Read(ctx context.Context, dst []byte, src device.Buffer) error {
	b := d.find(src)
	return copyBytes(ctx, "read", b, dst, b.bytes())
}

// find returns b as a buffer of d and panics if it is none, or released.
func (d *gpu) find(b device.Buffer) *buffer {
	own, ok := b.(*buffer)
	if !ok || own.dev != d {
		panic(fmt.Sprintf("metalkit: %q is a buffer of another device", b.Desc().Label))
	}
	if own.released.Load() {
		panic(fmt.Sprintf("metalkit: %q is used after its release", own.desc.Label))
	}
	return own
}

func (b *buffer) bytes() []byte { return b.mem.host[:b.desc.Bytes()] }

// copyBytes copies in parts, so that an end of ctx is seen in time.
func copyBytes(ctx context.Context, what string, b *buffer, dst, src []byte) error {
	if len(dst) != len(src) {
		return fmt.Errorf("metalkit: %s of %q: %d bytes to %d", what, b.desc.Label, len(src), len(dst))
	}
	const part = 64 << 20
	for {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("metalkit: %s of %q: %w", what, b.desc.Label, err)
		}
		n := copy(dst[:min(part, len(dst))], src)
		if dst, src = dst[n:], src[n:]; len(src) == 0 {
			return nil
		}
	}
}
