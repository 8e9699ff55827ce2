package vae

import (
	"context"

	"gimbal/inference/device"
)

// featureCache is the causal feature cache of a convolution in time: its last two inputs,
// the latest second.
type featureCache struct {
	frames  [2]clip
	started bool
}

// cacheOf returns the feature cache of c.
func (s *stream) cacheOf(c *conv) *featureCache {
	cache := s.caches[c]
	if cache == nil {
		cache = &featureCache{}
		s.caches[c] = cache
	}
	return cache
}

// prev returns the frames before the next input, black at the start.
func (f *featureCache) prev() [2]device.Frames {
	return [2]device.Frames{f.frames[0].Frames, f.frames[1].Frames}
}

// push takes over the frames of x, the newest inputs. Two frames stay where they
// are; of more, the last two are copied, or they would hold the memory of all.
func (f *featureCache) push(ctx context.Context, x clip) error {
	f.started = true
	for i := max(0, 2-x.T); i < 2; i++ {
		f.frames[0].release()
		f.frames[0], f.frames[1] = f.frames[1], clip{}
	}
	if x.T > 2 {
		tail := x.pool.alloc(2, x.H, x.W, x.C)
		err := x.pool.do(ctx, "vae feature cache", func(e device.Encoder) {
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
		f.frames[0] = x.hold(0, 1)
	}
	f.frames[1] = x.hold(x.T-1, x.T)
	return nil
}
