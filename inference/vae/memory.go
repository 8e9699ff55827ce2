package vae

import (
	"context"

	"gimbal/inference/device"
	"gimbal/inference/nn"
)

// memory is an arena that lends buffers for activations. A buffer goes back when nobody
// holds it any more; it is then lent again, or released as soon as a buffer of another
// size is needed, so that memory of one level of the network does not lie idle
// at the next. After an error of the arena, do and write do nothing.
type memory struct {
	*nn.Arena
	dev  device.Device
	idle map[int][]*block // by number of elements
}

// block is a buffer and the number of clips that hold it.
type block struct {
	buf     device.Buffer // nil after an error
	holders int
}

func newMemory(dev device.Device) *memory {
	return &memory{Arena: nn.NewArena(dev), dev: dev, idle: map[int][]*block{}}
}

// clip is a holder's view of some frames. The zero clip holds nothing.
type clip struct {
	device.Frames
	block *block
	mem   *memory
	position
}

// position is where a clip's first frame stands in its stream.
type position struct {
	index    int // how many frames came before it
	constant int // how many of them, right before it, are known to be equal to it
}

// alloc lends frames with undefined contents.
func (m *memory) alloc(t, h, w, c int) clip {
	n := t * h * w * c
	if len(m.idle[n]) == 0 {
		m.trim()
		desc := device.Desc{Label: "vae activation", DType: device.F32, Shape: []int{t, h, w, c}}
		m.idle[n] = []*block{{buf: m.Buffer(desc)}}
	}
	last := len(m.idle[n]) - 1
	b := m.idle[n][last]
	m.idle[n] = m.idle[n][:last]
	b.holders = 1
	frames := device.Frames{Buf: b.buf, DType: device.F32, T: t, H: h, W: w, C: c, FrameStride: h * w * c}
	return clip{Frames: frames, block: b, mem: m}
}

// trim releases the buffers that nobody holds.
func (m *memory) trim() {
	for n, blocks := range m.idle {
		for _, b := range blocks {
			m.Free(b.buf)
		}
		delete(m.idle, n)
	}
}

// do runs one submission.
func (m *memory) do(ctx context.Context, label string, f func(device.Encoder)) error {
	if err := m.Err(); err != nil {
		return err
	}
	return m.dev.Do(ctx, label, f)
}

// write fills c with values.
func (m *memory) write(ctx context.Context, c clip, values []float32) error {
	if err := m.Err(); err != nil {
		return err
	}
	return m.dev.Write(ctx, c.Buf, device.Bytes(values))
}

// hold returns frames from, ..., to-1 of c for one more holder.
func (c clip) hold(from, to int) clip {
	c.Frames = c.Range(from, to)
	c.block.holders++
	c.index += from
	return c
}

// read copies c, which must be the whole of its buffer, to values.
func (c clip) read(ctx context.Context, values []float32) error {
	return c.mem.dev.Read(ctx, device.Bytes(values), c.Buf)
}

// release ends a holder's use of c; the zero clip needs none.
func (c clip) release() {
	if c.block == nil {
		return
	}
	c.block.holders--
	if c.block.holders == 0 && c.block.buf != nil {
		n := c.block.buf.Desc().Len()
		c.mem.idle[n] = append(c.mem.idle[n], c.block)
	}
}

// shared reports whether somebody else holds c's buffer, which must then not be
// written to.
func (c clip) shared() bool { return c.block.holders > 1 }
