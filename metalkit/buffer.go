package metalkit

import (
	"context"
	"fmt"
	"unsafe"

	"gimbal/inference/device"
	"gimbal/metalkit/internal/driver"
)

// memory is what a buffer is made of.
type memory struct {
	driver.Memory
	scratch int64 // bytes, if it is for scratch
}

// giveBack takes the memory of a released buffer.
func (d *gpu) giveBack(m memory, counted int64) {
	switch {
	case m.Handle == 0, d.watch.gaveUp.Load(): // of no bytes, or a GPU may write to it still
	case m.scratch > 0:
		d.pool.keep(d.drv, m)
	case counted > 0:
		d.pool.put(d.drv, m, counted)
	default:
		d.drv.Free(m.Memory)
	}
}

// pool keeps memory of released buffers for the next ones of the same size, and the
// scratch of the last submission for the next.
type pool struct {
	free    map[int64][]memory
	held    int64 // bytes of these
	most    int64 // that they may be
	scratch memory
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

// put keeps m, or frees it where the pool would hold too much.
func (p *pool) put(drv driver.Driver, m memory, size int64) {
	if p.held+size > p.most {
		drv.Free(m.Memory)
		return
	}
	p.free[size] = append(p.free[size], m)
	p.held += size
}

// keep keeps scratch.
func (p *pool) keep(drv driver.Driver, m memory) {
	if p.most == 0 {
		drv.Free(m.Memory)
		return
	}
	p.drop(drv)
	p.scratch = m
}

// drop frees the scratch that it has.
func (p *pool) drop(drv driver.Driver) {
	if p.scratch.scratch > 0 {
		drv.Free(p.scratch.Memory)
		p.scratch = memory{}
	}
}

func (p *pool) drain(drv driver.Driver) {
	for _, list := range p.free {
		for _, m := range list {
			drv.Free(m.Memory)
		}
	}
	clear(p.free)
	p.held = 0
	p.drop(drv)
}

// close frees what the pool holds, and has it keep nothing from then on.
func (p *pool) close(drv driver.Driver) {
	p.drain(drv)
	p.most = 0
}

// Trim implements device.Device.
func (d *gpu) Trim() { d.Locked(func() { d.pool.drain(d.drv) }) }

// fresh returns new memory. What the pool holds gives way where there is little room.
func (d *gpu) fresh(size, room int64) (memory, error) {
	if err := d.checkSize(size); err != nil {
		return memory{}, err
	}
	if size > room-d.pool.held-d.pool.scratch.scratch {
		d.pool.drain(d.drv)
	}
	return d.allocate(size)
}

// allocate returns memory of the driver's.
func (d *gpu) allocate(size int64) (memory, error) {
	m, err := d.drv.Alloc(size)
	return memory{Memory: m}, err
}

// checkSize fails for a buffer that is larger than any that the GPU takes.
func (d *gpu) checkSize(size int64) error {
	if most := d.limits.MaxBuffer; most > 0 && size > most {
		return fmt.Errorf("%d bytes in one piece, of which the GPU takes %d; use smaller or fewer frames, or the CPU: %w", size, most, device.ErrOutOfMemory)
	}
	return nil
}

func (d *gpu) Alloc(desc device.Desc) (device.Buffer, error) {
	size, pooled := d.AllocSize(desc.Bytes()), false
	b, err := d.Provide(desc, size, func(room int64) (m memory, err error) {
		if size == 0 {
			return memory{}, nil
		}
		if m, pooled = d.pool.take(size); pooled {
			return m, nil
		}
		return d.fresh(size, room)
	})
	if err != nil {
		return nil, err
	}
	if pooled {
		if err := d.clear(b.Mem, size); err != nil {
			b.Release()
			return nil, fmt.Errorf("metalkit: %q is not cleared: %w", desc.Label, err)
		}
	}
	return b, nil
}

// Map aliases mem where the driver can and the elements are aligned.
func (d *gpu) Map(desc device.Desc, mem []byte, release func()) (device.Buffer, error) {
	b, err := d.Adopt(desc, mem, release, func() (memory, bool, error) {
		if len(mem) == 0 {
			return memory{}, false, nil
		}
		if err := d.checkSize(int64(len(mem)) + driver.PageSize); err != nil { // with the rest of its first page
			return memory{}, false, err
		}
		if uintptr(unsafe.Pointer(unsafe.SliceData(mem)))%uintptr(desc.DType.Size()) == 0 {
			if m, ok := d.drv.Alias(mem); ok {
				return memory{Memory: m}, false, nil
			}
		}
		m, err := d.allocate(int64(len(mem)))
		if err != nil {
			return m, false, fmt.Errorf("a copy: %w", err)
		}
		if err := d.fill(context.Background(), m, mem); err != nil {
			d.drv.Free(m.Memory)
			return memory{}, false, fmt.Errorf("a copy: %w", err)
		}
		return m, true, nil
	})
	if err != nil {
		return nil, err
	}
	return b, nil
}
