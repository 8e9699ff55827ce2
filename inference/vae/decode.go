package vae

import (
	"context"
	"fmt"
	"math"

	"gimbal/inference/nn"
)

// DecodeOptions say how Decode cuts its work. The zero value decodes all at once.
type DecodeOptions struct {
	// Chunk is how many frames, at most, go through a layer at once; 0 for as many as there
	// are. More need more memory and fill a large device better; the result is the same (the
	// same bits, on the CPU), and memory does not grow with the clip but for a chunk of 0.
	Chunk int
	// Tile is the side of the tiles that pictures are cut into; see Tiles.
	Tile int
	// Progress, unless nil, is told after every frame how many are done: of all tiles, and
	// once more when they are handed on, where there is more than one tile.
	Progress func(done, total int)
}

// Decode turns a normalised latent, [z, f, h, w], into Frames(f) pictures of h and
// w times Stride pixels and hands each to emit as soon as it is done: rgb is
// [3, height, width], about -1 to 1 but not clamped, and valid during the call. With
// several tiles it holds all pictures on the host until the last one is done.
//
// If ctx ends, Decode returns its error within a second; an error of emit ends it too.
//
// On a dry device the latent may be nil, the pictures are, and one tile stands for all.
func (v *VAE) Decode(ctx context.Context, latent []float32, f, h, w int, o DecodeOptions, emit func(t int, rgb []float32) error) error {
	if err := v.checkDecode(latent, f, h, w, o.Chunk); err != nil {
		return err
	}
	whole, done := latentPart{latent, f, h, w, area{0, 0, h, w}}, progress{tell: o.Progress, total: v.Frames(f)}
	last := func(t int, rgb []float32) error {
		if err := emit(t, rgb); err != nil {
			return err
		}
		done.step()
		return nil
	}
	tiles := v.Tiles(h, w, o.Tile)
	if tiles == 1 {
		return v.decode(ctx, whole, o.Chunk, last)
	}
	done.total *= tiles + 1
	return v.decodeTiles(ctx, whole, o, &done, last)
}

// progress counts frames.
type progress struct {
	tell        func(done, total int)
	done, total int
}

func (p *progress) step() {
	if p.done++; p.tell != nil {
		p.tell(p.done, p.total)
	}
}

func (v *VAE) checkDecode(latent []float32, f, h, w, chunk int) error {
	if f < 1 || h < 1 || w < 1 || len(latent) != v.channels*f*h*w && !v.absent(latent) {
		return fmt.Errorf("vae: decode: a latent of %d values, expected [%d %d %d %d]", len(latent), v.channels, f, h, w)
	}
	if chunk < 0 {
		return fmt.Errorf("vae: decode in chunks of %d frames, expected 0 or more", chunk)
	}
	return nil
}

// absent reports whether there are no values because none are needed.
func (v *VAE) absent(values []float32) bool { return values == nil && v.dev.Info().Dry }

// area is a rectangle of a picture or a latent.
type area struct{ y, x, h, w int }

// latentPart is an area of a latent, [z, f, h, w].
type latentPart struct {
	latent  []float32
	f, h, w int
	area    area
}

// decode runs the decoder on p and hands pictures to emit.
func (v *VAE) decode(ctx context.Context, p latentPart, chunk int, emit func(t int, rgb []float32) error) error {
	d := v.NewDecoder(chunk)
	defer d.Close()
	return d.decode(ctx, p, emit)
}

// Decoder decodes a video whose latent comes part by part. Its pictures are those of the
// whole latent, the same bits on the CPU: it remembers what its layers need of the frames
// before. It is used by one goroutine.
type Decoder struct {
	v     *VAE
	s     *stream
	chunk int
	in    *nn.Staging
	out   pictureSink
	done  int // latent frames
}

// NewDecoder returns a decoder that sends chunk latent frames at most through a layer at
// once, as in DecodeOptions.
func (v *VAE) NewDecoder(chunk int) *Decoder {
	s := newStream(v.dev)
	s.chunk = chunk
	return &Decoder{v: v, s: s, chunk: chunk, in: s.Staging(), out: pictureSink{pixels: s.Staging(), rgb: s.Staging()}}
}

// Decode decodes the next f frames of a latent, [z, f, h, w], of the same size as those
// before, and hands their pictures to emit, counted from the video's first; see VAE.Decode.
// After an error the decoder is of no use.
func (d *Decoder) Decode(ctx context.Context, latent []float32, f, h, w int, emit func(t int, rgb []float32) error) error {
	if err := d.v.checkDecode(latent, f, h, w, d.chunk); err != nil {
		return err
	}
	return d.decode(ctx, latentPart{latent, f, h, w, area{0, 0, h, w}}, emit)
}

// Past returns how many latent frames before one have a say in its pictures: a decoder that
// begins so many before it makes the same ones as a decoder of the whole video.
func (d *Decoder) Past() int {
	past, rate := 1.0, 1.0 // the first frame is treated otherwise
	for _, l := range d.v.decoder {
		n, _ := l.receptiveField()
		past += float64(n) / rate
		if _, ok := l.(*temporalUpsample); ok {
			rate *= 2
		}
	}
	return int(math.Ceil(past))
}

// Close gives the decoder's memory back.
func (d *Decoder) Close() { d.s.Release() }

func (d *Decoder) decode(ctx context.Context, p latentPart, emit func(t int, rgb []float32) error) error {
	v, n := d.v, 0
	for t := 0; t < p.f; t += n {
		n = p.f - t
		if d.done == 0 { // the first frame goes alone: the layers that upsample time treat it otherwise
			n = 1
		} else if d.chunk > 0 {
			n = min(n, d.chunk)
		}
		x := d.s.alloc(n, p.area.h, p.area.w, v.channels)
		values := d.in.Floats(n * p.area.h * p.area.w * v.channels)
		v.denormalise(values, p, t, n)
		err := d.s.write(ctx, x, values)
		if err == nil {
			err = d.s.run(ctx, v.decoder, x, func(y clip) error { return d.out.emit(ctx, y, emit) })
		}
		if err != nil {
			return fmt.Errorf("vae: decode: latent frame %d: %w", d.done+1, err)
		}
		d.done += n
	}
	return nil
}

// denormalise writes frames t, ..., t+n-1 of p to values, [n, height, width, z].
func (v *VAE) denormalise(values []float32, p latentPart, t, n int) {
	if values == nil || p.latent == nil {
		return
	}
	plane := p.h * p.w
	for z := range v.channels {
		to := z
		for i := range n {
			for y := range p.area.h {
				row := p.latent[(z*p.f+t+i)*plane+(p.area.y+y)*p.w+p.area.x:][:p.area.w]
				for _, value := range row {
					values[to] = value*v.Std[z] + v.Mean[z]
					to += v.channels
				}
			}
		}
	}
}

// pictureSink counts the pictures handed on and has the memory for it.
type pictureSink struct {
	pixels, rgb *nn.Staging
	done        int
}

// emit reads y and hands its frames to f, channels first.
func (p *pictureSink) emit(ctx context.Context, y clip, f func(t int, rgb []float32) error) error {
	plane := y.H * y.W
	pixels, rgb := p.pixels.Floats(y.T*plane*y.C), p.rgb.Floats(plane*y.C)
	if err := y.read(ctx, pixels); err != nil {
		return err
	}
	for t := range y.T {
		if rgb != nil {
			for i := range plane {
				for c := range y.C {
					rgb[c*plane+i] = pixels[(t*plane+i)*y.C+c]
				}
			}
		}
		if err := f(p.done, rgb); err != nil {
			return err
		}
		p.done++
	}
	return nil
}
