package vae

import (
	"context"
	"fmt"

	"gimbal/inference/device"
)

// enlarge doubles height and width by nearest neighbour and convolves.
type enlarge struct {
	name string
	conv *conv
}

func (l *enlarge) reach() (past, stride int) { return 0, 1 }

func (l *enlarge) forward(ctx context.Context, s *stream, x clip) (clip, error) {
	defer x.release()
	y := s.alloc(x.T, 2*x.H, 2*x.W, l.conv.out)
	return y, s.do(ctx, l.name, func(e device.Encoder) {
		c := l.conv.call(x.Frames, y.Frames)
		c.Upsample = true
		e.Record(c)
	})
}

// reduce halves height and width, which must be even, by a convolution that pads
// one row below and one column to the right.
type reduce struct {
	name string
	conv *conv
}

func (l *reduce) reach() (past, stride int) { return 0, 1 }

func (l *reduce) forward(ctx context.Context, s *stream, x clip) (clip, error) {
	defer x.release()
	y := s.alloc(x.T, x.H/2, x.W/2, l.conv.out)
	return y, s.do(ctx, l.name, func(e device.Encoder) {
		c := l.conv.call(x.Frames, y.Frames)
		c.Stride, c.PadH, c.PadW = 2, 0, 0
		e.Record(c)
	})
}

// stretch makes two frames of one: a convolution in time gives twice the channels,
// the first half for the even frames, the second for the odd. The first frame of
// a video comes alone and stays as it is, and the convolution never sees it: for
// the second frame the past is black.
type stretch struct {
	name string
	conv *conv
}

func (l *stretch) reach() (past, stride int) { return 2, 1 }

func (l *stretch) forward(ctx context.Context, s *stream, x clip) (clip, error) {
	h := s.of(l.conv)
	if !h.started {
		if x.T != 1 {
			panic(fmt.Sprintf("vae: a video starts with %d frames, want 1", x.T))
		}
		h.started = true
		return x, nil
	}
	y := s.alloc(2*x.T, x.H, x.W, x.C)
	err := s.do(ctx, l.name, func(e device.Encoder) {
		for half := range 2 {
			from, to := half*x.C, (half+1)*x.C
			c := l.conv.call(x.Frames, y.Every(half, 2))
			c.Prev = h.prev()
			c.W, c.Bias = c.W.RowRange(from, to), c.Bias.ColRange(from, to)
			e.Record(c)
		}
	})
	if err != nil {
		return clip{}, err
	}
	return y, h.push(ctx, x)
}

// shrink makes one frame of two by a convolution in time over three: itself and
// the two before it. The first frame of a video stays as it is. Frames come one
// at a time.
type shrink struct {
	name string
	conv *conv
}

func (l *shrink) reach() (past, stride int) { return 2, 2 }

func (l *shrink) forward(ctx context.Context, s *stream, x clip) (clip, error) {
	h := s.of(l.conv)
	switch {
	case x.T != 1:
		panic(fmt.Sprintf("vae: %d frames at once, want 1", x.T))
	case x.index == 0:
		return x.hold(0, 1), h.push(ctx, x)
	case x.index%2 == 1:
		return clip{}, h.push(ctx, x)
	}
	y := s.alloc(1, x.H, x.W, l.conv.out)
	err := s.do(ctx, l.name, func(e device.Encoder) {
		c := l.conv.call(x.Frames, y.Frames)
		c.Prev = h.prev()
		e.Record(c)
	})
	if err != nil {
		return clip{}, err
	}
	return y, h.push(ctx, x)
}
