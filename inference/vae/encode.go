package vae

import (
	"bytes"
	"context"
	"fmt"

	"gimbal/inference/device"
)

// Encode turns a video of frames pictures, Frames(f) of them, into its normalised
// latent [z, f, height/Stride, width/Stride] (the mean of the posterior, mu). It
// asks for one picture after the other: frame fills rgb, [3, height, width] with
// values from -1 to 1, with picture t.
//
// Pictures that are equal, bit for bit, to the one before cost little: what cannot
// have changed is not computed again. If ctx ends, Encode returns its error within
// a second; an error of frame ends it too.
func (v *VAE) Encode(ctx context.Context, frame func(t int, rgb []float32) error, frames, height, width int) ([]float32, error) {
	if frames < 1 || (frames-1)%v.strideT != 0 {
		return nil, fmt.Errorf("vae: encode %d frames, expected a multiple of %d and one more", frames, v.strideT)
	}
	if height < 1 || width < 1 || height%v.stride != 0 || width%v.stride != 0 {
		return nil, fmt.Errorf("vae: encode pictures of %dx%d pixels, expected multiples of %d", width, height, v.stride)
	}
	s := newStream(v.dev)
	s.settled = true
	defer s.close()

	f := (frames-1)/v.strideT + 1
	plane := height / v.stride * (width / v.stride)
	latent := make([]float32, v.channels*f*plane)
	mu := make([]float32, plane*v.channels)
	sink := func(y clip) error {
		if err := y.read(ctx, mu); err != nil {
			return err
		}
		v.normalise(latent, mu, f, plane, y.index)
		return nil
	}
	in := newSource(height, width)
	for t := range frames {
		if err := in.next(t, frame); err != nil {
			return nil, fmt.Errorf("vae: encode: frame %d of %d: %w", t+1, frames, err)
		}
		x := s.alloc(1, height, width, 3)
		x.place = place{index: t, still: in.still}
		err := s.write(ctx, x, in.pixels)
		if err == nil {
			err = s.run(ctx, v.encoder, x, sink)
		}
		if err != nil {
			return nil, fmt.Errorf("vae: encode: frame %d of %d: %w", t+1, frames, err)
		}
	}
	return latent, nil
}

// normalise writes mu, [plane, z], as frame t of latent, [z, f, plane].
func (v *VAE) normalise(latent, mu []float32, f, plane, t int) {
	for z := range v.channels {
		inv := 1 / v.Std[z]
		for i := range plane {
			latent[(z*f+t)*plane+i] = (mu[i*v.channels+z] - v.Mean[z]) * inv
		}
	}
}

// source is the latest picture, as the caller and as the device has it.
type source struct {
	rgb, before []float32 // [3, height, width]
	pixels      []float32 // [height, width, 3]
	still       int       // pictures right before it that were equal to it
}

func newSource(height, width int) *source {
	n := 3 * height * width
	return &source{rgb: make([]float32, n), before: make([]float32, n), pixels: make([]float32, n)}
}

func (in *source) next(t int, frame func(t int, rgb []float32) error) error {
	in.rgb, in.before = in.before, in.rgb
	if err := frame(t, in.rgb); err != nil {
		return err
	}
	if t > 0 && bytes.Equal(device.Bytes(in.rgb), device.Bytes(in.before)) {
		in.still++
		return nil
	}
	in.still = 0
	plane := len(in.rgb) / 3
	for c := range 3 {
		for i, v := range in.rgb[c*plane : (c+1)*plane] {
			in.pixels[3*i+c] = v
		}
	}
	return nil
}
