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

// PictureEncoder encodes a picture that black ones follow, part by part: the image
// conditioning of a video. Its latent is that of the whole video, the same bits on the CPU.
// It is used by one goroutine.
type PictureEncoder struct {
	v             *VAE
	height, width int
	s             *stream // nil once the latent has settled
	in            *pictureSource
	out           *nn.Staging
	rgb           []float32
	next          int       // picture
	ready         []float32 // the latest latent frame, [z, plane]
	size          int       // its values
	done          int       // latent frames
	settled       bool      // all further ones are equal to it
}

// NewPictureEncoder returns an encoder for rgb, [3, height, width] with values from -1 to 1;
// nil on a dry device.
func (v *VAE) NewPictureEncoder(rgb []float32, height, width int) (*PictureEncoder, error) {
	if err := v.checkEncode(1, height, width); err != nil {
		return nil, err
	}
	s := newStream(v.dev)
	s.reuse = true
	e := &PictureEncoder{v: v, height: height, width: width, s: s, in: newPictureSource(s.Arena, height, width), out: s.Staging(), rgb: rgb}
	_, h, w := v.latent(1, height, width)
	e.size = v.channels * h * w
	e.ready = device.Floats(v.dev, e.size)
	return e, nil
}

// Next writes the next f latent frames to latent, [z, f, height/Stride, width/Stride]; nil on
// a dry device. When black pictures only are in the view of all layers, every frame is equal
// to the one before, and the encoder gives its memory back.
func (e *PictureEncoder) Next(ctx context.Context, latent []float32, f int) error {
	for i := range f {
		if !e.settled {
			if err := e.frame(ctx); err != nil {
				return fmt.Errorf("vae: encode: latent frame %d: %w", e.done+1, err)
			}
		}
		e.done++
		if latent != nil {
			plane := len(e.ready) / e.v.channels
			for z := range e.v.channels {
				copy(latent[(z*f+i)*plane:][:plane], e.ready[z*plane:])
			}
		}
	}
	return nil
}

// Settled reports whether all further latent frames are equal to the last.
func (e *PictureEncoder) Settled() bool { return e.settled }

// frame encodes pictures until a latent frame comes of them.
func (e *PictureEncoder) frame(ctx context.Context) error {
	for came := false; !came; e.next++ {
		err := e.in.next(e.next, func(t int, rgb []float32) error {
			clear(rgb)
			if t == 0 {
				copy(rgb, e.rgb)
			}
			return nil
		})
		if err != nil {
			return err
		}
		x := e.s.alloc(1, e.height, e.width, 3)
		x.position = position{index: e.next, constant: e.in.constant}
		if err := e.s.write(ctx, x, e.in.pixels); err != nil {
			return err
		}
		err = e.s.run(ctx, e.v.encoder, x, func(y clip) error {
			came, e.settled = true, y.constant > 0
			mu := e.out.Floats(y.H * y.W * y.C)
			if err := y.read(ctx, mu); err != nil {
				return err
			}
			e.v.normalise(e.ready, mu, 1, y.H*y.W, 0)
			return nil
		})
		if err != nil {
			return err
		}
	}
	if e.settled {
		e.s.Release()
	}
	return nil
}

// Close gives the encoder's memory back.
func (e *PictureEncoder) Close() {
	e.s.Release()
	e.v.dev.Hold(-4 * int64(e.size))
	e.size = 0
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
