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
	// receptiveField returns how many frames before an input frame have a say in its
	// output, and the stride: of how many input frames one makes an output frame.
	receptiveField() (past, stride int)
}

// stream is one video on its way through the network.
type stream struct {
	*pool
	chunk    int                     // frames that go through a layer at once; 0 for any number
	reuse    bool                    // take outputs again while the receptive field is constant
	caches   map[*conv]*featureCache // by convolution in time
	reusable map[layer]clip          // the outputs that the next frames may have again
}

func newStream(dev device.Device) *stream {
	return &stream{pool: newPool(dev), caches: map[*conv]*featureCache{}, reusable: map[layer]clip{}}
}

// run sends x through layers and hands what comes out to sink, which does not
// keep it. Where time was upsampled, the frames go on in chunks, each to the
// end, so that the largest pictures are held for the fewest frames.
func (s *stream) run(ctx context.Context, layers []layer, x clip, sink func(clip) error) error {
	for i, l := range layers {
		var err error
		if x, err = s.step(ctx, l, x); err != nil {
			return err
		}
		if x.pooled == nil {
			return nil
		}
		if s.chunk > 0 && x.T > s.chunk {
			defer x.release()
			for t := 0; t < x.T; t += s.chunk {
				part := x.hold(t, min(t+s.chunk, x.T))
				if err := s.run(ctx, layers[i+1:], part, sink); err != nil {
					return err
				}
			}
			return nil
		}
	}
	defer x.release()
	return sink(x)
}

// step computes l's output, or takes the last one again if all frames in l's receptive
// field are equal to the one before.
func (s *stream) step(ctx context.Context, l layer, x clip) (clip, error) {
	past, stride := l.receptiveField()
	past = max(past, 1) // what was constant for one frame only is not worth keeping
	if !s.reuse || x.index%stride != 0 {
		return l.forward(ctx, s, x)
	}
	at := position{index: x.index / stride}
	keep := x.constant >= past
	if keep {
		at.constant = (x.constant - past) / stride
	}
	var y clip
	if at.constant > 0 {
		y = s.reusable[l]
		x.release()
	} else {
		s.reusable[l].release()
		delete(s.reusable, l)
		var err error
		if y, err = l.forward(ctx, s, x); err != nil {
			return clip{}, err
		}
	}
	if keep {
		s.reusable[l] = y.hold(0, y.T)
	}
	y.position = at
	return y, nil
}
