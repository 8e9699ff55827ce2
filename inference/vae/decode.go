package vae

import (
	"context"
	"fmt"

	"gimbal/inference/device"
)

// Decode turns a normalised latent, [z, f, h, w], into Frames(f) pictures of h and
// w times Stride pixels and hands each to emit as soon as it is done: rgb is
// [3, height, width], about -1 to 1 but not clamped, and valid during the call.
//
// At most chunk frames go through a layer at once, 0 for as many as there are.
// More need more memory and fill a large device better; the result is the same
// (the same bits, on the CPU), and memory does not grow with f but for a chunk
// of 0. If ctx ends, Decode returns its error within a second; an error of emit
// ends it too.
func (v *VAE) Decode(ctx context.Context, latent []float32, f, h, w, chunk int, emit func(t int, rgb []float32) error) error {
	if err := v.checkDecode(latent, f, h, w, chunk); err != nil {
		return err
	}
	in, out := room{dev: v.dev}, pictures{room{dev: v.dev}, room{dev: v.dev}, 0}
	defer in.free()
	defer out.free()
	return v.decode(ctx, f, h, w, chunk,
		func(t, n int) []float32 { return v.denormalise(&in, latent, area{0, 0, h, w}, f, h*w, w, t, n) },
		func(y clip) error { return out.emit(ctx, y, emit) })
}

// DryDecode records what Decode does, on a dry device.
func (v *VAE) DryDecode(ctx context.Context, f, h, w, chunk int) error {
	in, out := room{dev: v.dev}, pictures{room{dev: v.dev}, room{dev: v.dev}, 0}
	defer in.free()
	defer out.free()
	return v.decode(ctx, f, h, w, chunk,
		func(_, n int) []float32 { return in.floats(n * h * w * v.channels) },
		func(y clip) error { out.reserve(y); return nil })
}

func (v *VAE) checkDecode(latent []float32, f, h, w, chunk int) error {
	if f < 1 || h < 1 || w < 1 || len(latent) != v.channels*f*h*w {
		return fmt.Errorf("vae: decode: a latent of %d values, expected [%d %d %d %d]", len(latent), v.channels, f, h, w)
	}
	if chunk < 0 {
		return fmt.Errorf("vae: decode in chunks of %d frames, expected 0 or more", chunk)
	}
	return nil
}

// decode runs the decoder: input returns n frames of the latent from frame t on, as
// [n, h, w, z], and sink takes pictures and does not keep them.
func (v *VAE) decode(ctx context.Context, f, h, w, chunk int, input func(t, n int) []float32, sink func(clip) error) error {
	s := newStream(v.dev)
	s.most = chunk
	defer s.close()
	n := 1 // the first frame goes alone: the layers that stretch time treat it otherwise
	for t := 0; t < f; t += n {
		if t > 0 {
			n = f - t
			if chunk > 0 {
				n = min(n, chunk)
			}
		}
		x := s.alloc(n, h, w, v.channels)
		err := s.write(ctx, x, input(t, n))
		if err == nil {
			err = s.run(ctx, v.decoder, x, sink)
		}
		if err != nil {
			return fmt.Errorf("vae: decode: latent frame %d of %d: %w", t+1, f, err)
		}
	}
	return nil
}

// area is a rectangle of a picture or a latent.
type area struct{ y, x, h, w int }

// denormalise returns frames t, ..., t+n-1 of part a of latent, [z, f, plane] with
// rows of width, as [n, a.h, a.w, z].
func (v *VAE) denormalise(in *room, latent []float32, a area, f, plane, width, t, n int) []float32 {
	frames := in.floats(n * a.h * a.w * v.channels)
	for z := range v.channels {
		to := z
		for i := range n {
			for y := range a.h {
				row := latent[(z*f+t+i)*plane+(a.y+y)*width+a.x:][:a.w]
				for _, value := range row {
					frames[to] = value*v.Std[z] + v.Mean[z]
					to += v.channels
				}
			}
		}
	}
	return frames
}

// pictures counts the pictures handed on and keeps the room for it.
type pictures struct {
	pixels, rgb room
	done        int
}

// reserve makes room for y: its pixels, and one picture, channels first.
func (p *pictures) reserve(y clip) (pixels, rgb []float32) {
	return p.pixels.floats(y.T * y.H * y.W * y.C), p.rgb.floats(y.H * y.W * y.C)
}

// emit reads y and hands its frames to f, channels first.
func (p *pictures) emit(ctx context.Context, y clip, f func(t int, rgb []float32) error) error {
	plane := y.H * y.W
	pixels, rgb := p.reserve(y)
	if err := y.read(ctx, pixels); err != nil {
		return err
	}
	for t := range y.T {
		for i := range plane {
			for c := range y.C {
				rgb[c*plane+i] = pixels[(t*plane+i)*y.C+c]
			}
		}
		if err := f(p.done, rgb); err != nil {
			return err
		}
		p.done++
	}
	return nil
}

func (p *pictures) free() {
	p.pixels.free()
	p.rgb.free()
}

// room is host memory that is used again and again.
type room struct {
	dev    device.Device
	values []float32
	size   int
}

// floats returns n values with undefined contents; none for a dry device.
func (r *room) floats(n int) []float32 {
	if n > r.size {
		r.free()
		r.values, r.size = device.Floats(r.dev, n), n
	}
	if r.values == nil {
		return nil
	}
	return r.values[:n]
}

func (r *room) free() {
	r.dev.Hold(-4 * int64(r.size))
	r.values, r.size = nil, 0
}
