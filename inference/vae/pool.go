package vae

import (
	"context"

	"gimbal/inference/device"
	"gimbal/inference/nn"
)

// pool is an arena of buffers for activations. A buffer that nobody holds any more is used
// again, or released as soon as a buffer of another size is needed, so that memory of one
// level of the network does not lie idle at the next. After an error of the arena, do and
// write do nothing.
type pool struct {
	*nn.Arena
	dev  device.Device
	idle map[int][]*pooled // by number of elements
}

// pooled is a buffer and the number of clips that hold it.
type pooled struct {
	buf     device.Buffer // nil after an error
	holders int
}

func newPool(dev device.Device) *pool {
	return &pool{Arena: nn.NewArena(dev), dev: dev, idle: map[int][]*pooled{}}
}

// clip is a holder's view of some frames. The zero clip holds nothing.
type clip struct {
	device.Frames
	pooled *pooled
	pool   *pool
	position
}

// position is where a clip's first frame stands in its stream.
type position struct {
	index    int // how many frames came before it
	constant int // how many of them, right before it, are known to be equal to it
}

// alloc returns frames with undefined contents.
func (p *pool) alloc(t, h, w, c int) clip {
	n := t * h * w * c
	if len(p.idle[n]) == 0 {
		p.trim()
		desc := device.Desc{Label: "vae activation", DType: device.F32, Shape: []int{t, h, w, c}}
		p.idle[n] = []*pooled{{buf: p.Buffer(desc)}}
	}
	last := len(p.idle[n]) - 1
	b := p.idle[n][last]
	p.idle[n] = p.idle[n][:last]
	b.holders = 1
	frames := device.Frames{Buf: b.buf, DType: device.F32, T: t, H: h, W: w, C: c, FrameStride: h * w * c}
	return clip{Frames: frames, pooled: b, pool: p}
}

// trim releases the buffers that nobody holds.
func (p *pool) trim() {
	for n, list := range p.idle {
		for _, b := range list {
			p.Free(b.buf)
		}
		delete(p.idle, n)
	}
}

// do runs one submission.
func (p *pool) do(ctx context.Context, label string, f func(device.Encoder)) error {
	if err := p.Err(); err != nil {
		return err
	}
	return p.dev.Do(ctx, label, f)
}

// write fills c with values.
func (p *pool) write(ctx context.Context, c clip, values []float32) error {
	if err := p.Err(); err != nil {
		return err
	}
	return p.dev.Write(ctx, c.Buf, device.Bytes(values))
}

// hold returns frames from, ..., to-1 of c for one more holder.
func (c clip) hold(from, to int) clip {
	c.Frames = c.Range(from, to)
	c.pooled.holders++
	c.index += from
	return c
}

// read copies c, which must be the whole of its buffer, to values.
func (c clip) read(ctx context.Context, values []float32) error {
	return c.pool.dev.Read(ctx, device.Bytes(values), c.Buf)
}

// release ends a holder's use of c; the zero clip needs none.
func (c clip) release() {
	if c.pooled == nil {
		return
	}
	c.pooled.holders--
	if c.pooled.holders == 0 && c.pooled.buf != nil {
		n := c.pooled.buf.Desc().Len()
		c.pool.idle[n] = append(c.pool.idle[n], c.pooled)
	}
}

// shared reports whether somebody else holds c's buffer, which must then not be
// written to.
func (c clip) shared() bool { return c.pooled.holders > 1 }
