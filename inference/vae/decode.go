package vae

import (
	"context"
	"fmt"
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
	if f < 1 || h < 1 || w < 1 || len(latent) != v.channels*f*h*w {
		return fmt.Errorf("vae: decode: a latent of %d values, expected [%d %d %d %d]", len(latent), v.channels, f, h, w)
	}
	if chunk < 0 {
		return fmt.Errorf("vae: decode in chunks of %d frames, expected 0 or more", chunk)
	}
	s := newStream(v.dev)
	s.most = chunk
	defer s.close()
	var out pictures
	n := 1 // the first frame goes alone: the layers that stretch time treat it otherwise
	for t := 0; t < f; t += n {
		if t > 0 {
			n = f - t
			if chunk > 0 {
				n = min(n, chunk)
			}
		}
		x := s.alloc(n, h, w, v.channels)
		err := s.write(ctx, x, v.denormalise(latent, f, h*w, t, n))
		if err == nil {
			err = s.run(ctx, v.decoder, x, func(y clip) error { return out.emit(ctx, y, emit) })
		}
		if err != nil {
			return fmt.Errorf("vae: decode: latent frame %d of %d: %w", t+1, f, err)
		}
	}
	return nil
}

// denormalise returns frames t, ..., t+n-1 of latent, [z, f, plane], as [n, plane, z].
func (v *VAE) denormalise(latent []float32, f, plane, t, n int) []float32 {
	frames := make([]float32, n*plane*v.channels)
	for z := range v.channels {
		for i, value := range latent[(z*f+t)*plane : (z*f+t+n)*plane] {
			frames[i*v.channels+z] = value*v.Std[z] + v.Mean[z]
		}
	}
	return frames
}

// pictures counts the pictures handed on and keeps the buffers for it.
type pictures struct {
	done        int
	pixels, rgb []float32
}

// emit reads y and hands its frames to f, channels first.
func (p *pictures) emit(ctx context.Context, y clip, f func(t int, rgb []float32) error) error {
	plane := y.H * y.W
	p.pixels = resize(p.pixels, y.T*plane*y.C)
	p.rgb = resize(p.rgb, plane*y.C)
	if err := y.read(ctx, p.pixels); err != nil {
		return err
	}
	for t := range y.T {
		for i := range plane {
			for c := range y.C {
				p.rgb[c*plane+i] = p.pixels[(t*plane+i)*y.C+c]
			}
		}
		if err := f(p.done, p.rgb); err != nil {
			return err
		}
		p.done++
	}
	return nil
}

// resize returns n values with undefined contents, in s if they fit.
func resize(s []float32, n int) []float32 {
	if cap(s) < n {
		return make([]float32, n)
	}
	return s[:n]
}
