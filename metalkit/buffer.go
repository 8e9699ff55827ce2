package metalkit

import (
	"context"
	"fmt"
	"unsafe"

	"gimbal/inference/device"
)

// Bytes implements host.Memory.
func (m memory) Bytes() []byte { return m.host }

// giveBack takes the memory of a released buffer.
func (d *gpu) giveBack(m memory, counted int64) {
	switch {
	case m.handle == 0: // of no bytes
	case m.scratch > 0:
		d.pool.keep(d.drv, m)
	case counted > 0:
		d.pool.put(d.drv, m, counted)
	default:
		d.drv.free(m)
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
func (p *pool) put(drv driver, m memory, size int64) {
	if p.held+size > p.most {
		drv.free(m)
		return
	}
	p.free[size] = append(p.free[size], m)
	p.held += size
}

// keep keeps scratch.
func (p *pool) keep(drv driver, m memory) {
	if p.most == 0 {
		drv.free(m)
		return
	}
	p.drop(drv)
	p.scratch = m
}

// drop frees the scratch that it has.
func (p *pool) drop(drv driver) {
	if p.scratch.scratch > 0 {
		drv.free(p.scratch)
		p.scratch = memory{}
	}
}

func (p *pool) drain(drv driver) {
	for _, list := range p.free {
		for _, m := range list {
			drv.free(m)
		}
	}
	clear(p.free)
	p.held = 0
	p.drop(drv)
}

// close frees what the pool holds, and has it keep nothing from then on.
func (p *pool) close(drv driver) {
	p.drain(drv)
	p.most = 0
}

// Trim implements device.Device.
func (d *gpu) Trim() { d.Locked(func() { d.pool.drain(d.drv) }) }

// fresh returns new memory. What the pool holds gives way where there is little room.
func (d *gpu) fresh(size, room int64) (memory, error) {
	if err := d.fits(size); err != nil {
		return memory{}, err
	}
	if size > room-d.pool.held-d.pool.scratch.scratch {
		d.pool.drain(d.drv)
	}
	return d.drv.alloc(size)
}

// fits fails for a buffer that is larger than any that the GPU takes.
func (d *gpu) fits(size int64) error {
	if most := d.limits.maxBuffer; most > 0 && size > most {
		return fmt.Errorf("%d bytes in one piece, of which the GPU takes %d; use smaller or fewer frames, or --device cpu: %w", size, most, device.ErrOutOfMemory)
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
		if err := d.fits(int64(len(mem)) + pageSize); err != nil { // with the rest of its first page
			return memory{}, false, err
		}
		if uintptr(unsafe.Pointer(unsafe.SliceData(mem)))%uintptr(desc.DType.Size()) == 0 {
			if m, ok := d.drv.alias(mem); ok {
				return m, false, nil
			}
		}
		m, err := d.drv.alloc(int64(len(mem)))
		if err != nil {
			return m, false, fmt.Errorf("a copy: %w", err)
		}
		if err := d.fill(context.Background(), m, mem); err != nil {
			d.drv.free(m)
			return memory{}, false, fmt.Errorf("a copy: %w", err)
		}
		return m, true, nil
	})
	if err != nil {
		return nil, err
	}
	return b, nil
}
