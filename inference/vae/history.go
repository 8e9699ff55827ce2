package vae

import (
	"context"

	"gimbal/inference/device"
)

// history is the last two inputs of a convolution in time, the latest second.
type history struct {
	frames  [2]clip
	started bool
}

// of returns the history of c.
func (s *stream) of(c *conv) *history {
	h := s.history[c]
	if h == nil {
		h = &history{}
		s.history[c] = h
	}
	return h
}

// prev returns the frames before the next input, black at the start.
func (h *history) prev() [2]device.Frames {
	return [2]device.Frames{h.frames[0].Frames, h.frames[1].Frames}
}

// push takes over the frames of x, the newest inputs. Two frames stay where they
// are; of more, the last two are copied, or they would hold the memory of all.
func (h *history) push(ctx context.Context, x clip) error {
	h.started = true
	for i := max(0, 2-x.T); i < 2; i++ {
		h.frames[0].release()
		h.frames[0], h.frames[1] = h.frames[1], clip{}
	}
	if x.T > 2 {
		tail := x.mem.alloc(2, x.H, x.W, x.C)
		err := x.mem.do(ctx, "vae history", func(e device.Encoder) {
			e.Record(device.Move{X: x.Range(x.T-2, x.T).Mat(), Y: tail.Mat()})
		})
		if err != nil {
			return err
		}
		x.release()
		x = tail
	}
	defer x.release()
	if x.T == 2 {
		h.frames[0] = x.hold(0, 1)
	}
	h.frames[1] = x.hold(x.T-1, x.T)
	return nil
}
