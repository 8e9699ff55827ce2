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
	if err := v.checkEncode(frames, height, width); err != nil {
		return nil, err
	}
	f, h, w := v.latent(frames, height, width)
	latent := make([]float32, v.channels*f*h*w)
	in := newSource(v.dev, height, width)
	defer in.free()
	err := v.encode(ctx, frames, height, width,
		func(t int) ([]float32, int, error) { return in.next(t, frame) },
		func(mu []float32, t int) { v.normalise(latent, mu, f, h*w, t) })
	return latent, err
}

// DryEncode records what Encode does with a picture and black frames after it, on a
// dry device.
func (v *VAE) DryEncode(ctx context.Context, frames, height, width int) error {
	f, h, w := v.latent(frames, height, width)
	latent := room{dev: v.dev}
	latent.floats(v.channels * f * h * w)
	defer latent.free()
	in := newSource(v.dev, height, width)
	defer in.free()
	return v.encode(ctx, frames, height, width,
		func(t int) ([]float32, int, error) { return nil, max(0, t-1), nil },
		func([]float32, int) {})
}

func (v *VAE) checkEncode(frames, height, width int) error {
	if frames < 1 || (frames-1)%v.strideT != 0 {
		return fmt.Errorf("vae: encode %d frames, expected a multiple of %d and one more", frames, v.strideT)
	}
	if height < 1 || width < 1 || height%v.stride != 0 || width%v.stride != 0 {
		return fmt.Errorf("vae: encode pictures of %dx%d pixels, expected multiples of %d", width, height, v.stride)
	}
	return nil
}

// latent returns the size of the latent of a video.
func (v *VAE) latent(frames, height, width int) (f, h, w int) {
	return (frames-1)/v.strideT + 1, height / v.stride, width / v.stride
}

// encode runs the encoder: next returns a picture, [height, width, 3], and how many
// right before it were equal to it, and sink takes frame t of the latent, [h, w, z].
func (v *VAE) encode(ctx context.Context, frames, height, width int, next func(t int) ([]float32, int, error), sink func(mu []float32, t int)) error {
	s := newStream(v.dev)
	s.settled = true
	defer s.close()
	out := room{dev: v.dev}
	defer out.free()
	for t := range frames {
		pixels, still, err := next(t)
		if err == nil {
			x := s.alloc(1, height, width, 3)
			x.place = place{index: t, still: still}
			err = s.write(ctx, x, pixels)
			if err == nil {
				err = s.run(ctx, v.encoder, x, func(y clip) error {
					mu := out.floats(y.H * y.W * y.C)
					if err := y.read(ctx, mu); err != nil {
						return err
					}
					sink(mu, y.index)
					return nil
				})
			}
		}
		if err != nil {
			return fmt.Errorf("vae: encode: frame %d of %d: %w", t+1, frames, err)
		}
	}
	return nil
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
	dev         device.Device
	size        int
}

func newSource(dev device.Device, height, width int) *source {
	n := 3 * height * width
	return &source{rgb: device.Floats(dev, n), before: device.Floats(dev, n), pixels: device.Floats(dev, n), dev: dev, size: n}
}

func (in *source) free() { in.dev.Hold(-3 * 4 * int64(in.size)) }

// next asks frame for picture t.
func (in *source) next(t int, frame func(t int, rgb []float32) error) (pixels []float32, still int, err error) {
	in.rgb, in.before = in.before, in.rgb
	if err := frame(t, in.rgb); err != nil {
		return nil, 0, err
	}
	if t > 0 && bytes.Equal(device.Bytes(in.rgb), device.Bytes(in.before)) {
		in.still++
		return in.pixels, in.still, nil
	}
	in.still = 0
	plane := len(in.rgb) / 3
	for c := range 3 {
		for i, v := range in.rgb[c*plane : (c+1)*plane] {
			in.pixels[3*i+c] = v
		}
	}
	return in.pixels, 0, nil
}
