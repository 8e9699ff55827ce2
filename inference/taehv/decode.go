package taehv

import (
	"context"
	"fmt"
	"image"
	"math"

	"gimbal/inference"
	"gimbal/inference/device"
	"gimbal/inference/nn"
	"gimbal/inference/vae"
)

// Decode turns a normalised latent, [z, f, h, w], into the pictures of a video, 8 times as
// high and wide, and hands each to emit as soon as it is done: rgb is [3, height, width], -1
// to 1, and valid during the call. Of the options it only heeds Progress.
//
// If ctx ends, Decode returns its error within a second; an error of emit ends it too. On a
// dry device the latent may be nil, and the pictures are.
func (m *Model) Decode(ctx context.Context, latent []float32, f, h, w int, o vae.DecodeOptions, emit func(t int, rgb []float32) error) error {
	d := m.NewDecoder()
	defer d.Close()
	return d.Decode(ctx, latent, f, h, w, func(t int, rgb []float32) error {
		err := emit(t, rgb)
		if err == nil && o.Progress != nil {
			o.Progress(t+1, inference.Wan.Frames(f))
		}
		return err
	})
}

// Tiles returns 1: pictures are never cut.
func (m *Model) Tiles(h, w, side int) int { return 1 }

// Previews returns a picture of each frame of a normalised latent, [z, f, h, w], 4 times as
// high and wide: the last two steps in time and the last in size are left out.
func (m *Model) Previews(ctx context.Context, latent []float32, f, h, w int) ([]image.Image, error) {
	p := m.NewPreviewer()
	defer p.Close()
	return p.Previews(ctx, latent, f, h, w, true)
}

// Previewer makes previews of a video whose latent comes part by part: those of the whole
// latent, of a part as often as it changes. It is used by one goroutine.
type Previewer struct{ d *Decoder }

// NewPreviewer returns a previewer of a new video.
func (m *Model) NewPreviewer() *Previewer {
	d := m.NewDecoder()
	d.coarse = true
	return &Previewer{d}
}

// Close gives the previewer's memory back.
func (p *Previewer) Close() { p.d.Close() }

// Previews is Model.Previews of the next part of the latent. done says that the part stays as
// it is: the next call is about the part behind it, and otherwise, or after an error, about
// this one again.
func (p *Previewer) Previews(ctx context.Context, latent []float32, f, h, w int, done bool) (pictures []image.Image, err error) {
	err = p.d.Decode(ctx, latent, f, h, w, func(_ int, rgb []float32) error {
		pictures = append(pictures, toImage(rgb, 4*h, 4*w))
		return nil
	})
	for i := range p.d.levels {
		p.d.levels[i].settle(err == nil && done)
	}
	return pictures, err
}

// settle keeps what the level remembers now, or goes back to what was kept before.
func (m *memory) settle(keep bool) {
	for k, past := range m.past {
		kept := m.kept[k]
		if past == kept {
			continue
		}
		unused := past
		if keep {
			m.kept[k], unused = past, kept
		} else {
			m.past[k] = kept
		}
		if !unused.IsZero() {
			m.free = append(m.free, unused)
		}
	}
}

func toImage(rgb []float32, h, w int) image.Image {
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	plane := h * w
	if rgb == nil {
		return img
	}
	for i := range plane {
		for c := range 3 {
			img.Pix[4*i+c] = uint8(127.5*(rgb[c*plane+i]+1) + 0.5)
		}
		img.Pix[4*i+3] = 255
	}
	return img
}

// Decoder decodes a video whose latent comes part by part: its pictures are those of the
// whole latent. It is used by one goroutine.
type Decoder struct {
	m      *Model
	coarse bool // for previews
	arena  *nn.Arena
	h, w   int // of the latent

	in, pixels, rgb *nn.Staging
	latent          device.Frames
	large, picture  device.Frames // the last level and what comes out
	levels          [3]memory
	seen, done      int // pictures that were made, and handed on
}

// memory is what a level remembers, and the frames that it works in.
type memory struct {
	past [3]device.Frames // the last input of each block; zero before the first
	kept [3]device.Frames // of a previewer: that of the last part that is done
	free []device.Frames
}

// NewDecoder returns a decoder of a new video.
func (m *Model) NewDecoder() *Decoder {
	arena := nn.NewArena(m.dev)
	return &Decoder{m: m, arena: arena, in: arena.Staging(), pixels: arena.Staging(), rgb: arena.Staging()}
}

// Past returns how many latent frames before one have a say in its pictures: each block looks
// at the frame before.
func (d *Decoder) Past() int {
	past, rate := 1.0, 1.0 // pictures of the first frame are left out
	for i, grow := range grows {
		past += float64(len(d.levels[i].past)) / rate
		rate *= float64(grow)
	}
	return int(math.Ceil(past))
}

// Close gives the decoder's memory back.
func (d *Decoder) Close() { d.arena.Release() }

// Decode decodes the next f frames of a latent, [z, f, h, w], of the same size as those
// before, and hands their pictures to emit, counted from the video's first; see Model.Decode.
// After an error the decoder is of no use.
func (d *Decoder) Decode(ctx context.Context, latent []float32, f, h, w int, emit func(t int, rgb []float32) error) error {
	z := d.m.channels
	if f < 1 || h < 1 || w < 1 || len(latent) != z*f*h*w && !(latent == nil && d.m.dev.Info().Dry) {
		return fmt.Errorf("small decoder: a latent of %d values, expected [%d %d %d %d]", len(latent), z, f, h, w)
	}
	if d.h != 0 && (d.h != h || d.w != w) {
		return fmt.Errorf("small decoder: a latent of %dx%d, expected %dx%d as before", w, h, d.w, d.h)
	}
	d.h, d.w = h, w
	for t := range f {
		if err := d.frame(ctx, latent, t, f, emit); err != nil {
			return fmt.Errorf("small decoder: latent frame %d: %w", t+1, err)
		}
	}
	return nil
}

// frame decodes frame t of a latent of f.
func (d *Decoder) frame(ctx context.Context, latent []float32, t, f int, emit func(t int, rgb []float32) error) error {
	if d.latent.IsZero() {
		d.latent = d.alloc("latent", 1, d.m.channels)
	}
	values := d.in.Floats(d.h * d.w * d.m.channels)
	d.soften(values, latent, t, f)
	err := d.arena.Err()
	if err == nil {
		err = d.m.dev.Write(ctx, d.latent.Buf, device.Bytes(values))
	}
	if err != nil {
		return err
	}
	x := d.take(0)
	err = d.do(ctx, "first", func(e device.Encoder) {
		e.Record(d.m.first.call(d.latent, x, device.Frames{}))
		relu(e, x)
	})
	if err != nil {
		return err
	}
	return d.level(ctx, 0, x, emit)
}

// soften writes frame t of a latent to values, [h, w, z], as the model reads it.
func (d *Decoder) soften(values, latent []float32, t, f int) {
	if values == nil || latent == nil {
		return
	}
	plane, z := d.h*d.w, d.m.channels
	for c := range z {
		for i, v := range latent[(c*f+t)*plane:][:plane] {
			v = v*d.m.std[c] + d.m.mean[c]
			values[i*z+c] = float32(3 * math.Tanh(float64(v)/3))
		}
	}
}

// level sends x, which it takes over, through level i and what follows.
func (d *Decoder) level(ctx context.Context, i int, x device.Frames, emit func(t int, rgb []float32) error) error {
	l, mem := &d.m.levels[i], &d.levels[i]
	a, b := d.take(i), d.take(i)
	var fresh []device.Frames // in place of what is remembered before the first frame, or stays
	spare := func(k int) bool { return !mem.past[k].IsZero() && mem.past[k] != mem.kept[k] }
	for k := range mem.past {
		if !spare(k) {
			fresh = append(fresh, d.take(i))
		}
	}
	err := d.do(ctx, fmt.Sprintf("level %d", i), func(e device.Encoder) {
		for k := range l.blocks {
			past, again := mem.past[k], spare(k)
			l.blocks[k].record(e, x, past, a, b)
			mem.past[k] = x // a block's input is what it remembers
			if x, a = a, past; !again {
				a, fresh = fresh[0], fresh[1:]
			}
		}
	})
	mem.free = append(mem.free, a)
	defer func() { mem.free = append(mem.free, x, b) }()
	if err != nil {
		return err
	}
	grow := l.grow
	if d.coarse {
		grow = grow[len(grow)-1:]
	}
	for _, g := range grow {
		if err := d.next(ctx, i, g, x, b, emit); err != nil {
			return err
		}
	}
	return nil
}

// next makes one of the frames that follow from x at the end of level i, with room in b.
func (d *Decoder) next(ctx context.Context, i int, grow nn.Linear, x, b device.Frames, emit func(t int, rgb []float32) error) error {
	last := i+1 == len(d.levels)
	if last && !d.coarse {
		if d.seen++; d.seen <= trimmed {
			return nil
		}
	}
	var y device.Frames
	if !last {
		y = d.take(i + 1)
	} else if y = d.large; y.IsZero() {
		d.large = d.alloc("picture", d.scale(), d.m.last.w.Cols/9)
		d.picture = d.alloc("pixels", d.scale(), 3)
		y = d.large
	}
	err := d.do(ctx, fmt.Sprintf("after level %d", i), func(e device.Encoder) {
		grow.Record(e, x.Mat(), b.Mat(), nn.Epilogue{})
		c := d.m.levels[i].next.call(b, y, device.Frames{})
		c.Upsample = y.H != b.H
		e.Record(c)
		if last {
			relu(e, y)
			e.Record(d.m.last.call(y, d.picture, device.Frames{}))
		}
	})
	switch {
	case err != nil:
		return err
	case !last:
		return d.level(ctx, i+1, y, emit)
	}
	return d.hand(ctx, emit)
}

// hand reads the picture that is done and hands it on.
func (d *Decoder) hand(ctx context.Context, emit func(t int, rgb []float32) error) error {
	plane := d.picture.H * d.picture.W
	pixels, rgb := d.pixels.Floats(3*plane), d.rgb.Floats(3*plane)
	if err := d.m.dev.Read(ctx, device.Bytes(pixels), d.picture.Buf); err != nil {
		return err
	}
	if rgb != nil {
		for i := range plane {
			for c := range 3 {
				rgb[c*plane+i] = 2*min(max(pixels[3*i+c], 0), 1) - 1
			}
		}
	}
	d.done++
	return emit(d.done-1, rgb)
}

// scale is how many times as large as the latent a picture is.
func (d *Decoder) scale() int {
	if d.coarse {
		return 4
	}
	return 8
}

// take returns frames of level i with undefined contents.
func (d *Decoder) take(i int) device.Frames {
	mem := &d.levels[i]
	if n := len(mem.free); n > 0 {
		f := mem.free[n-1]
		mem.free = mem.free[:n-1]
		return f
	}
	return d.alloc(fmt.Sprintf("level %d", i), 1<<i, d.m.levels[i].channels)
}

// alloc returns a frame scale times as large as the latent.
func (d *Decoder) alloc(label string, scale, channels int) device.Frames {
	b := d.arena.Buffer(device.Desc{Label: "small decoder " + label, DType: device.F32, Shape: []int{1, scale * d.h, scale * d.w, channels}})
	if b == nil {
		return device.Frames{}
	}
	return device.AsFrames(b)
}

// do runs one submission, none after an error of the arena.
func (d *Decoder) do(ctx context.Context, label string, f func(device.Encoder)) error {
	if err := d.arena.Err(); err != nil {
		return err
	}
	return d.m.dev.Do(ctx, "small decoder "+label, f)
}

// record computes ReLU(x + third(ReLU(second(ReLU(now(x) + past(before)))))) to a, with room
// in b. A zero before is black.
func (k *block) record(e device.Encoder, x, before, a, b device.Frames) {
	if before.IsZero() {
		e.Record(k.now.call(x, a, device.Frames{}))
	} else {
		past, now := k.past, k.now
		now.bias = device.Mat{} // once
		e.Record(past.call(before, a, device.Frames{}))
		e.Record(now.call(x, a, a))
	}
	relu(e, a)
	e.Record(k.second.call(a, b, device.Frames{}))
	relu(e, b)
	e.Record(k.third.call(b, a, x))
	relu(e, a)
}

// call returns the convolution of x to y, to which add is added unless it is zero.
func (c conv) call(x, y, add device.Frames) device.Conv {
	return device.Conv{X: x, Y: y, W: c.w, Bias: c.bias, Add: add, KT: 1, KH: 3, KW: 3, StrideT: 1, Stride: 1, PadH: 1, PadW: 1}
}

func relu(e device.Encoder, x device.Frames) {
	e.Record(device.Unary{X: x.Mat(), Y: x.Mat(), F: device.ReLU})
}
