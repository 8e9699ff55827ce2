package vae

import (
	"context"

	"gimbal/inference/device"
)

// layer is a step of the network. It takes over its input and returns an output
// of its own, which may be the input written over, or the zero clip if it waits
// for more frames.
type layer interface {
	forward(ctx context.Context, s *stream, x clip) (clip, error)
	// reach returns how many frames before an input frame have a say in its
	// output, and of how many input frames one makes an output frame.
	reach() (past, stride int)
}

// stream is one video on its way through the network.
type stream struct {
	*memory
	most    int                // frames that go through a layer at once; 0 for any number
	settled bool               // reuse outputs of frames that do not change
	history map[*conv]*history // by convolution in time
	last    map[layer]clip     // the outputs that the next frames may have again
}

func newStream(dev device.Device) *stream {
	return &stream{memory: newMemory(dev), history: map[*conv]*history{}, last: map[layer]clip{}}
}

// run sends x through layers and hands what comes out to sink, which does not
// keep it. Where time was stretched, the frames go on in portions, each to the
// end, so that the largest pictures are held for the fewest frames.
func (s *stream) run(ctx context.Context, layers []layer, x clip, sink func(clip) error) error {
	for i, l := range layers {
		var err error
		if x, err = s.step(ctx, l, x); err != nil {
			return err
		}
		if x.block == nil {
			return nil
		}
		if s.most > 0 && x.T > s.most {
			defer x.release()
			for t := 0; t < x.T; t += s.most {
				portion := x.hold(t, min(t+s.most, x.T))
				if err := s.run(ctx, layers[i+1:], portion, sink); err != nil {
					return err
				}
			}
			return nil
		}
	}
	defer x.release()
	return sink(x)
}

// step computes l's output, or takes the last one again if no frame within l's
// reach has changed.
func (s *stream) step(ctx context.Context, l layer, x clip) (clip, error) {
	past, stride := l.reach()
	past = max(past, 1) // what was still for one frame only is not worth keeping
	if !s.settled || x.index%stride != 0 {
		return l.forward(ctx, s, x)
	}
	at := place{index: x.index / stride}
	keep := x.still >= past
	if keep {
		at.still = (x.still - past) / stride
	}
	var y clip
	if at.still > 0 {
		y = s.last[l]
		x.release()
	} else {
		s.last[l].release()
		delete(s.last, l)
		var err error
		if y, err = l.forward(ctx, s, x); err != nil {
			return clip{}, err
		}
	}
	if keep {
		s.last[l] = y.hold(0, y.T)
	}
	y.place = at
	return y, nil
}
