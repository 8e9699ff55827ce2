package metalkit

import (
	"context"

	"gimbal/inference/device"
	"gimbal/inference/device/host"
	"gimbal/metalkit/internal/driver"
)

// scratch is the memory in which the dispatches of one operation hand results on; the next
// operation uses it again. Recording only counts it. The dispatches get the memory when
// they run: one piece, as large as the operation that needs the most.
type scratch struct {
	used int64 // by the operation at hand
	most int64 // by any so far
}

// scratchHandle stands for that memory in recorded dispatches.
const scratchHandle = ^uintptr(0)

// scratchAlign is what matrices in it begin at a multiple of.
const scratchAlign = 256

// Desc implements device.Buffer.
func (*scratch) Desc() device.Desc { return device.Desc{Label: "scratch", DType: device.U8} }

// Release implements device.Buffer; the memory goes with the submission.
func (*scratch) Release() {}

// temp returns a matrix of undefined content that lasts as long as the operation.
func (e *encoder) temp(t device.DType, rows, cols int) device.Mat {
	s := &e.scratch
	m := device.Mat{Buf: s, DType: t, Offset: int(s.used) / t.Size(), Rows: rows, Cols: cols, Stride: cols}
	s.used += (m.Bytes() + scratchAlign - 1) / scratchAlign * scratchAlign
	s.most = max(s.most, s.used)
	return m
}

// acquire gives the recorded dispatches the scratch that they need, if any, until release
// is called.
func (e *encoder) acquire() (release func(), err error) {
	if e.scratch.most == 0 {
		return func() {}, nil
	}
	b, err := e.dev.acquireScratch(e.scratch.most)
	if err != nil {
		return nil, err
	}
	e.place(b)
	return b.Release, nil
}

// place has the recorded dispatches use b as scratch.
func (e *encoder) place(b *host.Buffer[memory]) {
	for i := range e.dispatches {
		c := &e.dispatches[i]
		for j := range c.Bind[:c.Buffers] {
			if at := &c.Bind[j]; at.Handle == scratchHandle {
				at.Handle = b.Mem.Handle
				at.Offset += b.Mem.Offset
			}
		}
	}
}

// acquireScratch returns memory of undefined content.
func (d *gpu) acquireScratch(size int64) (*host.Buffer[memory], error) {
	size = d.AllocSize(size)
	desc := device.Desc{Label: "scratch", DType: device.U8, Shape: []int{int(size)}}
	return d.Provide(desc, size, func(room int64) (memory, error) {
		if m := d.pool.scratch; m.scratch >= size {
			d.pool.scratch = memory{}
			return m, nil
		}
		d.pool.drop(d.drv)
		m, err := d.fresh(size, room)
		m.scratch = size
		return m, err
	})
}

// AllocSize implements device.Device: buffers are whole pages.
func (d *gpu) AllocSize(n int64) int64 {
	return (n + driver.PageSize - 1) / driver.PageSize * driver.PageSize
}

// Count implements device.Device. Where a variant is still to be chosen, what it takes to
// time all of them counts, and what the neediest would take.
func (d *gpu) Count() device.Counter {
	return &counter{encoder{dev: d, ctx: context.Background(), counts: true}}
}

// counter is an encoder that counts scratch.
type counter struct{ encoder }

// Scratch implements device.Counter.
func (c *counter) Scratch() int64 { return c.dev.AllocSize(c.scratch.most) }

// Done implements device.Counter.
func (c *counter) Done() { c.reset(c.ctx) }
