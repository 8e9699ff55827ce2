package wan

import (
	"context"
	"errors"

	"gimbal/inference/device"
	"gimbal/inference/nn"
)

// camera is the camera branch of a session: from the path's Plücker coordinates a
// stem makes a signal, from which each block takes a scale and a shift of the
// residual stream. None of it depends on the latent, the timestep or the text.
type camera struct {
	plucker device.Mat // [tokens, channels*patch]; zero where the signal is kept for good
	signal  device.Mat // [tokens, dim]; zero where all scales and shifts are
	ready   bool       // the signal is computed

	// The scales and shifts of the first blocks, [tokens, dim]: with Reuse.Camera of
	// all, or of as many as the device has memory for.
	scales, shifts []device.Mat
	full           bool // there is no memory for those of another block
}

// load brings rays to the device.
func (c *camera) load(ctx context.Context, s *Session, rays []float32) error {
	c.ready = false
	return device.Fill(ctx, s.m.dev, c.plucker.Buf, func(rows []float32) {
		s.grid.patchify(rows, c.plucker.Cols, 0, rays, s.m.CameraChannels)
	})
}

// follow goes on to the rays of another chunk, of which so many blocks will read.
func (c *camera) follow(ctx context.Context, s *Session, rays []float32, blocks int) error {
	if err := c.load(ctx, s, rays); err != nil || !s.in.Reuse.Camera || blocks == 0 {
		return err
	}
	if err := c.computeStem(ctx, s.m, &s.act); err != nil {
		return err
	}
	return c.computeBranches(ctx, s.arena, s.m, &s.act, blocks)
}

// precompute computes what every forward needs, and gives the rest back.
func (c *camera) precompute(ctx context.Context, arena *nn.Arena, m *Model, act *activations) error {
	if err := c.computeStem(ctx, m, act); err != nil {
		return err
	}
	arena.FreeMat(&c.plucker)
	err := c.computeBranches(ctx, arena, m, act, len(m.w.blocks))
	if err == nil && len(c.scales) == len(m.w.blocks) {
		arena.FreeMat(&c.signal)
	}
	return err
}

func (c *camera) computeStem(ctx context.Context, m *Model, act *activations) error {
	err := m.dev.Do(ctx, "camera", func(enc device.Encoder) { c.stem(enc, &m.w, act) })
	c.ready = err == nil
	return err
}

// computeBranches computes the scales and shifts of the first blocks, of as many as there is
// memory for.
func (c *camera) computeBranches(ctx context.Context, arena *nn.Arena, m *Model, act *activations, blocks int) error {
	for i := range m.w.blocks[:blocks] {
		w := &m.w.blocks[i]
		if i == len(c.scales) && !c.full {
			scale, shift, err := c.allocate(arena, m, w)
			if c.full = errors.Is(err, device.ErrOutOfMemory); !c.full {
				if err != nil {
					return err
				}
				c.scales, c.shifts = append(c.scales, scale), append(c.shifts, shift)
			}
		}
		if i == len(c.scales) {
			return nil
		}
		err := m.dev.Do(ctx, w.name+".camera", func(enc device.Encoder) { c.branch(enc, w, act, c.scales[i], c.shifts[i]) })
		if err != nil {
			return err
		}
	}
	return nil
}

// allocate makes the matrices for the scale and the shift of a block. It fails with
// ErrOutOfMemory where they are larger than the weights that they stand for and would push
// other weights out of the device's working set.
func (c *camera) allocate(arena *nn.Arena, m *Model, w *blockWeights) (scale, shift device.Mat, err error) {
	rows, cols := c.signal.Rows, c.signal.Cols
	size := 2 * c.signal.Buf.Desc().Bytes()
	info := m.dev.Info()
	if info.WorkingSet > 0 && size > w.cameraBytes() && info.Allocated+m.bytes+size > info.WorkingSet {
		return scale, shift, device.ErrOutOfMemory
	}
	if scale, err = arena.TryMat(w.name+".camera_scale", device.F32, rows, cols); err != nil {
		return scale, shift, err
	}
	if shift, err = arena.TryMat(w.name+".camera_shift", device.F32, rows, cols); err != nil {
		arena.FreeMat(&scale)
	}
	return scale, shift, err
}

// embed computes what the blocks of a forward take and is not kept.
func (c *camera) embed(enc device.Encoder, w *modelWeights, act *activations) {
	if !c.ready {
		c.stem(enc, w, act)
	}
}

// stem computes the signal from the Plücker coordinates.
func (c *camera) stem(enc device.Encoder, w *modelWeights, act *activations) {
	embedded, hidden := act.q(), act.k()
	w.camera.Record(enc, c.plucker, embedded, nn.Epilogue{})
	w.cameraHidden1.Record(enc, embedded, hidden, nn.Epilogue{Act: device.SiLU})
	w.cameraHidden2.Record(enc, hidden, c.signal, nn.Epilogue{Add: embedded})
}

// branch computes a block's scale and shift from the signal. It works in the memory of
// queries and keys; scale or shift may be that of the queries.
func (c *camera) branch(enc device.Encoder, w *blockWeights, act *activations, scale, shift device.Mat) {
	hidden, injected := act.q(), act.k()
	w.camInjector1.Record(enc, c.signal, hidden, nn.Epilogue{Act: device.SiLU})
	w.camInjector2.Record(enc, hidden, injected, nn.Epilogue{Add: c.signal})
	w.camScale.Record(enc, injected, scale, nn.Epilogue{})
	w.camShift.Record(enc, injected, shift, nn.Epilogue{})
}

// inject computes x = (1 + scale) * x + shift for block i.
func (c *camera) inject(enc device.Encoder, w *blockWeights, act *activations, i int) {
	scale, shift := act.q(), act.v()
	if i < len(c.scales) {
		scale, shift = c.scales[i], c.shifts[i]
	} else {
		c.branch(enc, w, act, scale, shift)
	}
	enc.Record(device.GatedAdd{A: act.x, Gate: scale, Plus: 1, B: shift, Y: act.x})
}
