package vae

import (
	"context"
	"fmt"

	"gimbal/inference/device"
)

// spatialUpsample doubles height and width by nearest neighbour and convolves.
type spatialUpsample struct {
	name string
	conv *conv
}

func (l *spatialUpsample) receptiveField() (past, stride int) { return 0, 1 }

func (l *spatialUpsample) forward(ctx context.Context, s *stream, x clip) (clip, error) {
	defer x.release()
	y := s.alloc(x.T, 2*x.H, 2*x.W, l.conv.out)
	return y, s.do(ctx, l.name, func(e device.Encoder) {
		c := l.conv.call(x.Frames, y.Frames)
		c.Upsample = true
		e.Record(c)
	})
}

// spatialDownsample halves height and width, which must be even, by a convolution that pads
// one row below and one column to the right.
type spatialDownsample struct {
	name string
	conv *conv
}

func (l *spatialDownsample) receptiveField() (past, stride int) { return 0, 1 }

func (l *spatialDownsample) forward(ctx context.Context, s *stream, x clip) (clip, error) {
	defer x.release()
	y := s.alloc(x.T, x.H/2, x.W/2, l.conv.out)
	return y, s.do(ctx, l.name, func(e device.Encoder) {
		c := l.conv.call(x.Frames, y.Frames)
		c.Stride, c.PadH, c.PadW = 2, 0, 0
		e.Record(c)
	})
}

// temporalUpsample makes two frames of one: a convolution in time gives twice the channels,
// the first half for the even frames, the second for the odd. The first frame of
// a video comes alone and stays as it is, and the convolution never sees it: for
// the second frame the past is black.
type temporalUpsample struct {
	name string
	conv *conv
}

func (l *temporalUpsample) receptiveField() (past, stride int) { return 2, 1 }

func (l *temporalUpsample) forward(ctx context.Context, s *stream, x clip) (clip, error) {
	cache := s.cacheOf(l.conv)
	if !cache.started {
		if x.T != 1 {
			panic(fmt.Sprintf("vae: a video starts with %d frames, want 1", x.T))
		}
		cache.started = true
		return x, nil
	}
	y := s.alloc(2*x.T, x.H, x.W, x.C)
	err := s.do(ctx, l.name, func(e device.Encoder) {
		for half := range 2 {
			from, to := half*x.C, (half+1)*x.C
			c := l.conv.call(x.Frames, y.Every(half, 2))
			c.Prev = cache.prev()
			c.W, c.Bias = c.W.RowRange(from, to), c.Bias.ColRange(from, to)
			e.Record(c)
		}
	})
	if err != nil {
		return clip{}, err
	}
	return y, cache.push(ctx, x)
}

// temporalDownsample makes one frame of two by a convolution in time over three: itself and
// the two before it. The first frame of a video stays as it is. Frames come one
// at a time.
type temporalDownsample struct {
	name string
	conv *conv
}

func (l *temporalDownsample) receptiveField() (past, stride int) { return 2, 2 }

func (l *temporalDownsample) forward(ctx context.Context, s *stream, x clip) (clip, error) {
	cache := s.cacheOf(l.conv)
	switch {
	case x.T != 1:
		panic(fmt.Sprintf("vae: %d frames at once, want 1", x.T))
	case x.index == 0:
		return x.hold(0, 1), cache.push(ctx, x)
	case x.index%2 == 1:
		return clip{}, cache.push(ctx, x)
	}
	y := s.alloc(1, x.H, x.W, l.conv.out)
	err := s.do(ctx, l.name, func(e device.Encoder) {
		c := l.conv.call(x.Frames, y.Frames)
		c.Prev = cache.prev()
		e.Record(c)
	})
	if err != nil {
		return clip{}, err
	}
	return y, cache.push(ctx, x)
}
