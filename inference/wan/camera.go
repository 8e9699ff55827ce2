package wan

import (
	"context"
	"errors"

	"gimbal/inference/device"
)

// camera is the camera branch of a session: from the path's Plücker coordinates a
// stem makes a signal, from which each block takes a scale and a shift of the
// residual stream. None of it depends on the latent, the timestep or the text.
type camera struct {
	plucker device.Mat // [tokens, channels*patch]; zero where the signal is kept
	signal  device.Mat // [tokens, dim]; zero where all scales and shifts are kept

	// The scales and shifts of the first blocks, [tokens, dim]: with Reuse.Camera of
	// all, or of as many as the device has memory for.
	scales, shifts []device.Mat
}

// keep computes once what every forward needs, and lets go of the rest.
func (c *camera) keep(ctx context.Context, mem *memory, m *Model, act *activations) error {
	err := m.dev.Do(ctx, "camera", func(enc device.Encoder) { c.stem(enc, &m.w, act) })
	if err != nil {
		return err
	}
	mem.free(&c.plucker)
	for i := range m.w.blocks {
		w := &m.w.blocks[i]
		scale, shift, err := c.pair(mem, m, w)
		if errors.Is(err, device.ErrOutOfMemory) {
			return nil
		}
		if err != nil {
			return err
		}
		err = m.dev.Do(ctx, w.name+".camera", func(enc device.Encoder) { c.branch(enc, w, act, scale, shift) })
		if err != nil {
			return err
		}
		c.scales, c.shifts = append(c.scales, scale), append(c.shifts, shift)
	}
	mem.free(&c.signal)
	return nil
}

// pair makes room for the scale and shift of a block. It fails with ErrOutOfMemory
// where they are larger than the weights that they stand for and would push other
// weights out of the device's working set.
func (c *camera) pair(mem *memory, m *Model, w *blockWeights) (scale, shift device.Mat, err error) {
	rows, cols := c.signal.Rows, c.signal.Cols
	size := 2 * c.signal.Buf.Desc().Bytes()
	info := m.dev.Info()
	if info.WorkingSet > 0 && size > w.cameraBytes() && info.Allocated+m.bytes+size > info.WorkingSet {
		return scale, shift, device.ErrOutOfMemory
	}
	if scale, err = mem.try(w.name+".camera_scale", device.F32, rows, cols); err != nil {
		return scale, shift, err
	}
	if shift, err = mem.try(w.name+".camera_shift", device.F32, rows, cols); err != nil {
		mem.free(&scale)
	}
	return scale, shift, err
}

// stem computes the signal from the Plücker coordinates.
func (c *camera) stem(enc device.Encoder, w *modelWeights, act *activations) {
	embedded, hidden := act.third(0), act.third(1)
	enc.Record(w.camera.op(c.plucker, embedded))
	first := w.cameraHidden1.op(embedded, hidden)
	first.Act = device.SiLU
	enc.Record(first)
	second := w.cameraHidden2.op(hidden, c.signal)
	second.Add = embedded
	enc.Record(second)
}

// branch computes a block's scale and shift from the signal. It works in the
// first two thirds of act's room; scale or shift may be the first.
func (c *camera) branch(enc device.Encoder, w *blockWeights, act *activations, scale, shift device.Mat) {
	hidden, injected := act.third(0), act.third(1)
	first := w.camInjector1.op(c.signal, hidden)
	first.Act = device.SiLU
	enc.Record(first)
	second := w.camInjector2.op(hidden, injected)
	second.Add = c.signal
	enc.Record(second)
	enc.Record(w.camScale.op(injected, scale))
	enc.Record(w.camShift.op(injected, shift))
}

// inject computes x = (1 + scale) * x + shift for block i.
func (c *camera) inject(enc device.Encoder, w *blockWeights, act *activations, i int) {
	scale, shift := act.third(0), act.third(2)
	if i < len(c.scales) {
		scale, shift = c.scales[i], c.shifts[i]
	} else {
		c.branch(enc, w, act, scale, shift)
	}
	enc.Record(device.GatedAdd{A: act.x, Gate: scale, Plus: 1, B: shift, Y: act.x})
}
