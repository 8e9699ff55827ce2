package vae

import (
	"context"
	"math"

	"gimbal/inference/device"
	"gimbal/inference/nn"
)

// conv is a convolution's weights, [out, in, kt, kh, kw].
type conv struct {
	w          device.Weight
	bias       device.Mat
	in, out    int
	kt, kh, kw int
}

// call returns the convolution of x to y, without padding at the far edges
// beyond what the size of y asks for.
func (c *conv) call(x, y device.Frames) device.Conv {
	return device.Conv{
		X: x, Y: y, W: c.w.Data, Bias: c.bias,
		KT: c.kt, KH: c.kh, KW: c.kw, StrideT: 1, Stride: 1, PadH: c.kh / 2, PadW: c.kw / 2,
	}
}

// linear records the product of every pixel of x with a convolution of one pixel.
// It does so frame by frame: unlike Conv, Linear may round a row differently in
// a taller matrix.
func (c *conv) linear(e device.Encoder, x, y, add device.Frames) {
	for t := range x.T {
		var end nn.Epilogue
		if !add.IsZero() {
			end.Add = add.Range(t, t+1).Mat()
		}
		nn.Linear{Weight: c.w, Bias: c.bias}.Record(e, x.Range(t, t+1).Mat(), y.Range(t, t+1).Mat(), end)
	}
}

// rmsNorm is the reference's RMS_norm: x / max(|x|, 1e-12) * sqrt(C) * gamma over
// the channels of a pixel, which is an RMS norm with the epsilon 1e-24/C.
type rmsNorm struct{ gamma device.Mat }

func (n rmsNorm) call(x, y device.Frames, act device.Func) device.Norm {
	return device.Norm{
		X: x.Mat(), Y: y.Mat(), Kind: device.RMSNorm, Eps: float32(1e-24 / float64(x.C)), Weight: n.gamma, Act: act,
	}
}

// pointwise mixes the channels of every pixel.
type pointwise struct {
	name string
	conv *conv
}

func (l *pointwise) receptiveField() (past, stride int) { return 0, 1 }

func (l *pointwise) forward(ctx context.Context, s *stream, x clip) (clip, error) {
	defer x.release()
	y := s.alloc(x.T, x.H, x.W, l.conv.out)
	return y, s.do(ctx, l.name, func(e device.Encoder) {
		l.conv.linear(e, x.Frames, y.Frames, device.Frames{})
	})
}

// causal is the first or the last convolution in time; the last one has a norm
// and SiLU before it.
type causal struct {
	name string
	norm *rmsNorm
	conv *conv
}

func (l *causal) receptiveField() (past, stride int) { return 2, 1 }

func (l *causal) forward(ctx context.Context, s *stream, x clip) (clip, error) {
	n := x
	if l.norm != nil && x.shared() {
		n = s.alloc(x.T, x.H, x.W, x.C)
		defer x.release()
	}
	y := s.alloc(x.T, x.H, x.W, l.conv.out)
	cache := s.cacheOf(l.conv)
	err := s.do(ctx, l.name, func(e device.Encoder) {
		if l.norm != nil {
			e.Record(l.norm.call(x.Frames, n.Frames, device.SiLU))
		}
		c := l.conv.call(n.Frames, y.Frames)
		c.Prev = cache.prev()
		e.Record(c)
	})
	if err != nil {
		return clip{}, err
	}
	return y, cache.push(ctx, n)
}

// residual is x + conv(silu(norm(conv(silu(norm(x)))))), or shortcut(x) + ...
type residual struct {
	name         string
	norm1, norm2 rmsNorm
	conv1, conv2 *conv
	shortcut     *conv // nil where the number of channels stays
}

func (l *residual) receptiveField() (past, stride int) { return 4, 1 }

func (l *residual) forward(ctx context.Context, s *stream, x clip) (clip, error) {
	n := s.alloc(x.T, x.H, x.W, l.conv1.in)
	m := s.alloc(x.T, x.H, x.W, l.conv1.out)
	y := x
	if l.shortcut != nil || x.shared() {
		y = s.alloc(x.T, x.H, x.W, l.conv2.out)
		defer x.release()
	}
	cache1, cache2 := s.cacheOf(l.conv1), s.cacheOf(l.conv2)
	err := s.do(ctx, l.name, func(e device.Encoder) {
		e.Record(l.norm1.call(x.Frames, n.Frames, device.SiLU))
		c := l.conv1.call(n.Frames, m.Frames)
		c.Prev = cache1.prev()
		e.Record(c)
		e.Record(l.norm2.call(m.Frames, m.Frames, device.SiLU))
		c = l.conv2.call(m.Frames, y.Frames)
		c.Prev = cache2.prev()
		c.Add = x.Frames
		if l.shortcut != nil {
			l.shortcut.linear(e, x.Frames, y.Frames, device.Frames{})
			c.Add = y.Frames
		}
		e.Record(c)
	})
	if err != nil {
		return clip{}, err
	}
	if err := cache1.push(ctx, n); err != nil {
		return clip{}, err
	}
	return y, cache2.push(ctx, m)
}

// attention is x + proj(attention(qkv(norm(x)))) over the pixels of each frame,
// with a single head.
type attention struct {
	name      string
	norm      rmsNorm
	qkv, proj *conv
}

func (l *attention) receptiveField() (past, stride int) { return 0, 1 }

func (l *attention) forward(ctx context.Context, s *stream, x clip) (clip, error) {
	n := s.alloc(x.T, x.H, x.W, x.C)
	defer n.release()
	qkv := s.alloc(x.T, x.H, x.W, 3*x.C)
	defer qkv.release()
	y := x
	if x.shared() {
		y = s.alloc(x.T, x.H, x.W, x.C)
		defer x.release()
	}
	return y, s.do(ctx, l.name, func(e device.Encoder) {
		e.Record(l.norm.call(x.Frames, n.Frames, device.Identity))
		l.qkv.linear(e, n.Frames, qkv.Frames, device.Frames{})
		for t := range x.T {
			frame := qkv.Range(t, t+1).Mat()
			e.Record(device.Attention{
				Q: frame.ColRange(0, x.C), K: frame.ColRange(x.C, 2*x.C), V: frame.ColRange(2*x.C, 3*x.C),
				O: n.Range(t, t+1).Mat(), Heads: 1, Scale: float32(1 / math.Sqrt(float64(x.C))),
			})
		}
		l.proj.linear(e, n.Frames, y.Frames, x.Frames)
	})
}
