package vae

import (
	"bytes"
	"context"
	"fmt"

	"gimbal/inference/device"
	"gimbal/inference/nn"
)

// Encode turns a video of frames pictures, Frames(f) of them, into its normalised
// latent [z, f, height/Stride, width/Stride] (the mean of the posterior, mu). It
// asks for one picture after the other, and with tiles of a side (see Tiles) once per tile:
// frame fills rgb, [3, height, width] with values from -1 to 1, with picture t.
//
// Pictures that are equal, bit for bit, to the one before cost little: what cannot
// have changed is not computed again. If ctx ends, Encode returns its error within
// a second; an error of frame ends it too.
//
// On a dry device pictures are not asked for: they are one and black ones after it, and one
// tile stands for all. The latent is then nil, and counts as held until the caller gives it
// back.
func (v *VAE) Encode(ctx context.Context, frame func(t int, rgb []float32) error, frames, height, width, tile int) ([]float32, error) {
	if err := v.checkEncode(frames, height, width); err != nil {
		return nil, err
	}
	if _, h, w := v.latent(frames, height, width); v.Tiles(h, w, tile) > 1 {
		return v.encodeTiles(ctx, frame, frames, height, width, tile)
	}
	return v.encode(ctx, frame, frames, height, width)
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

// encode is Encode without tiles.
func (v *VAE) encode(ctx context.Context, frame func(t int, rgb []float32) error, frames, height, width int) ([]float32, error) {
	f, h, w := v.latent(frames, height, width)
	n := v.channels * f * h * w
	latent := device.Floats(v.dev, n)
	s := newStream(v.dev)
	s.reuse = true
	defer s.Release()
	in, out := newPictureSource(s.Arena, height, width), s.Staging()
	for t := range frames {
		err := in.next(t, frame)
		if err == nil {
			x := s.alloc(1, height, width, 3)
			x.position = position{index: t, constant: in.constant}
			err = s.write(ctx, x, in.pixels)
			if err == nil {
				err = s.run(ctx, v.encoder, x, func(y clip) error {
					mu := out.Floats(y.H * y.W * y.C)
					if err := y.read(ctx, mu); err != nil {
						return err
					}
					v.normalise(latent, mu, f, h*w, y.index)
					return nil
				})
			}
		}
		if err != nil {
			v.dev.Hold(-4 * int64(n))
			return nil, fmt.Errorf("vae: encode: frame %d of %d: %w", t+1, frames, err)
		}
	}
	return latent, nil
}

// normalise writes mu, [plane, z], as frame t of latent, [z, f, plane].
func (v *VAE) normalise(latent, mu []float32, f, plane, t int) {
	if latent == nil {
		return
	}
	for z := range v.channels {
		inv := 1 / v.Std[z]
		for i := range plane {
			latent[(z*f+t)*plane+i] = (mu[i*v.channels+z] - v.Mean[z]) * inv
		}
	}
}

// pictureSource is the latest picture, as the caller and as the device has it.
type pictureSource struct {
	rgb, before []float32 // [3, height, width]; nil on a dry device
	pixels      []float32 // [height, width, 3]
	constant    int       // pictures right before it that were equal to it
}

func newPictureSource(arena *nn.Arena, height, width int) *pictureSource {
	floats := func() []float32 { return arena.Staging().Floats(3 * height * width) }
	return &pictureSource{rgb: floats(), before: floats(), pixels: floats()}
}

// next asks frame for picture t.
func (in *pictureSource) next(t int, frame func(t int, rgb []float32) error) error {
	if in.rgb == nil {
		in.constant = max(0, t-1)
		return nil
	}
	in.rgb, in.before = in.before, in.rgb
	if err := frame(t, in.rgb); err != nil {
		return err
	}
	if t > 0 && bytes.Equal(device.Bytes(in.rgb), device.Bytes(in.before)) {
		in.constant++
		return nil
	}
	in.constant = 0
	plane := len(in.rgb) / 3
	for c := range 3 {
		for i, v := range in.rgb[c*plane : (c+1)*plane] {
			in.pixels[3*i+c] = v
		}
	}
	return nil
}
