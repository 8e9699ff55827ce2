package vae_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"gimbal/inference/cpu"
	"gimbal/inference/device"
	"gimbal/inference/golden"
	"gimbal/inference/vae"
	"gimbal/inference/weights"
)

func openCPU(tb testing.TB) device.Device {
	tb.Helper()
	dev, err := cpu.Open(cpu.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { dev.Close() })
	return dev
}

// load loads the reference cases' VAE.
func load(tb testing.TB, dev device.Device) *vae.VAE {
	tb.Helper()
	store, err := weights.Open(filepath.Join(golden.Checkpoint(tb), "Wan2.1_VAE.pth"))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { store.Close() })
	v, err := vae.Load(tb.Context(), dev, store, vae.WanStatistics())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(v.Close)
	return v
}

// decode returns the video, [3, frames, height, width].
func decode(tb testing.TB, v *vae.VAE, latent []float32, f, h, w, chunk int) []float32 {
	tb.Helper()
	frames, plane := v.Frames(f), h*w*v.Stride()*v.Stride()
	video := make([]float32, 3*frames*plane)
	next := 0
	err := v.Decode(tb.Context(), latent, f, h, w, vae.DecodeOptions{Chunk: chunk}, func(t int, rgb []float32) error {
		if t != next || t >= frames || len(rgb) != 3*plane {
			return fmt.Errorf("frame %d with %d values, want frame %d of %d with %d", t, len(rgb), next, frames, 3*plane)
		}
		for c := range 3 {
			copy(video[(c*frames+t)*plane:], rgb[c*plane:(c+1)*plane])
		}
		next++
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	if next != frames {
		tb.Fatalf("%d latent frames in chunks of %d give %d frames, want %d", f, chunk, next, frames)
	}
	return video
}

// feed returns a source of the pictures of video, [3, frames, plane].
func feed(video []float32, frames, plane int) func(t int, rgb []float32) error {
	return func(t int, rgb []float32) error {
		for c := range 3 {
			copy(rgb[c*plane:(c+1)*plane], video[(c*frames+t)*plane:])
		}
		return nil
	}
}

func random(n int, seed uint64) []float32 {
	r := rand.New(rand.NewPCG(seed, 1))
	values := make([]float32, n)
	for i := range values {
		values[i] = float32(r.NormFloat64())
	}
	return values
}

func TestDecodeReference(t *testing.T) {
	v := load(t, openCPU(t))
	for _, c := range golden.Cases(t, "vae_decode_") {
		latent, shape := c.F32(t, "latent")
		unclamped, _ := c.F32(t, "unclamped")
		clamped, _ := c.F32(t, "video")
		got := decode(t, v, latent, shape[1], shape[2], shape[3], 1)
		golden.Check(t, c.Name+" unclamped", got, unclamped, 2e-5)
		for i, x := range got {
			got[i] = min(max(x, -1), 1)
		}
		golden.Check(t, c.Name+" video", got, clamped, 2e-5)
	}
}

func TestEncodeReference(t *testing.T) {
	v := load(t, openCPU(t))
	check := func(c golden.Case, input, output string) {
		video, shape := c.F32(t, input)
		want, _ := c.F32(t, output)
		frames, height, width := shape[1], shape[2], shape[3]
		got, err := v.Encode(t.Context(), feed(video, frames, height*width), frames, height, width, 0)
		if err != nil {
			t.Fatal(err)
		}
		golden.Check(t, c.Name, got, want, 2e-5)
	}
	for _, c := range golden.Cases(t, "vae_encode_") {
		check(c, "video", "latent")
	}
	for _, c := range golden.Cases(t, "e2e_") { // a picture and still frames
		check(c, "vae_input", "image_latent")
	}
}

// TestChunks compares chunks of every size, bit for bit.
func TestChunks(t *testing.T) {
	v := load(t, openCPU(t))
	const f, h, w = 6, 5, 3
	latent := random(v.Channels()*f*h*w, 1)
	want := decode(t, v, latent, f, h, w, 0)
	for _, chunk := range []int{1, 2, 3, 4, f, f + 1} {
		if got := decode(t, v, latent, f, h, w, chunk); !slices.Equal(got, want) {
			t.Errorf("chunks of %d differ from all at once by %g", chunk, golden.RelL2(got, want))
		}
	}
}

// TestCausal cuts a latent short: the frames that are left stay the same bits.
func TestCausal(t *testing.T) {
	v := load(t, openCPU(t))
	const f, h, w = 4, 3, 4
	latent := random(v.Channels()*f*h*w, 2)
	whole := decode(t, v, latent, f, h, w, 2)
	plane := h * w * v.Stride() * v.Stride()
	for short := 1; short < f; short++ {
		var part []float32
		for z := range v.Channels() {
			part = append(part, latent[z*f*h*w:(z*f+short)*h*w]...)
		}
		got := decode(t, v, part, short, h, w, 1)
		for c := range 3 {
			n := v.Frames(short) * plane
			if !slices.Equal(got[c*n:(c+1)*n], whole[c*v.Frames(f)*plane:][:n]) {
				t.Errorf("the first %d latent frames give other pictures without the rest", short)
			}
		}
	}
}

// TestStill compares a still video with the same one whose black alternates
// between 0 and -0, which is equal in value but not known to be still.
func TestStill(t *testing.T) {
	v := load(t, openCPU(t))
	size := 3 * v.Stride()
	frames := v.Frames(20)
	first := random(3*size*size, 3)
	encode := func(moving bool, again int) []float32 {
		latent, err := v.Encode(t.Context(), func(n int, rgb []float32) error {
			black := float32(0)
			if moving && n%2 == 1 {
				black = float32(math.Copysign(0, -1))
			}
			for i := range rgb {
				rgb[i] = black
			}
			if n == 0 || n == again {
				copy(rgb, first)
			}
			return nil
		}, frames, size, size, 0)
		if err != nil {
			t.Fatal(err)
		}
		return latent
	}
	for _, again := range []int{0, frames - 6} {
		if got, want := encode(false, again), encode(true, again); !slices.Equal(got, want) {
			t.Errorf("picture again at %d: the reuse of still frames changes the latent by %g", again, golden.RelL2(got, want))
		}
	}
}

// TestMemory checks that a longer video needs no more memory.
func TestMemory(t *testing.T) {
	const h, w = 6, 4
	for _, chunk := range []int{1, 2, 3} {
		peak := func(chunks int) int64 {
			dev := openCPU(t)
			v := load(t, dev)
			f := 1 + chunk*chunks
			before := dev.Info().Allocated
			decode(t, v, random(v.Channels()*f*h*w, 4), f, h, w, chunk)
			if after := dev.Info().Allocated; after != before {
				t.Errorf("chunks of %d: %d bytes are still held after decoding", chunk, after-before)
			}
			return dev.Info().Peak
		}
		if short, long := peak(2), peak(6); short != long {
			t.Errorf("chunks of %d: 2 need %d bytes, 6 need %d", chunk, short, long)
		}
	}
}

func TestEncodeMemory(t *testing.T) {
	peak := func(frames int) int64 {
		dev := openCPU(t)
		v := load(t, dev)
		size := 4 * v.Stride()
		_, err := v.Encode(t.Context(), func(n int, rgb []float32) error {
			copy(rgb, random(len(rgb), uint64(n)))
			return nil
		}, frames, size, size, 0)
		if err != nil {
			t.Fatal(err)
		}
		return dev.Info().Peak
	}
	if short, long := peak(13), peak(33); short != long {
		t.Errorf("13 frames need %d bytes, 33 need %d", short, long)
	}
}

func TestCancel(t *testing.T) {
	v := load(t, openCPU(t))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	const f, h, w = 1000, 16, 16
	var stopped time.Time
	last := 0 // frame
	stop := func(n int, _ []float32) error {
		if last = n; n == 6 {
			stopped = time.Now()
			cancel()
		}
		return nil
	}
	err := v.Decode(ctx, make([]float32, v.Channels()*f*h*w), f, h, w, vae.DecodeOptions{Chunk: 2}, stop)
	const chunk = 8 // frames, of which all may come
	if late := time.Since(stopped); !errors.Is(err, context.Canceled) || late > 10*time.Second || last > 6+chunk {
		t.Errorf("Decode ended %v after it was cancelled, at frame %d, with %v", late, last, err)
	}

	ctx, cancel = context.WithCancel(t.Context())
	defer cancel()
	_, err = v.Encode(ctx, stop, v.Frames(f), h*v.Stride(), w*v.Stride(), 0)
	if late := time.Since(stopped); !errors.Is(err, context.Canceled) || late > 10*time.Second || last > 6+chunk {
		t.Errorf("Encode ended %v after it was cancelled, at frame %d, with %v", late, last, err)
	}
}

// smallDevice has room for a number of buffers.
type smallDevice struct {
	device.Device
	room int
}

func (d *smallDevice) Alloc(desc device.Desc) (device.Buffer, error) {
	if d.room == 0 {
		return nil, device.ErrOutOfMemory
	}
	d.room--
	return d.Device.Alloc(desc)
}

// TestOutOfMemory lets every allocation fail in turn: an error, and nothing kept.
func TestOutOfMemory(t *testing.T) {
	dev := &smallDevice{openCPU(t), math.MaxInt}
	v := load(t, dev)
	held := dev.Info().Allocated
	try := func(what string, run func() error) {
		for room := 0; ; room++ {
			dev.room = room
			err := run()
			if after := dev.Info().Allocated; after != held {
				t.Fatalf("%s in %d buffers: %d bytes are still held", what, room, after-held)
			}
			if err == nil {
				return
			}
			if !errors.Is(err, device.ErrOutOfMemory) {
				t.Fatalf("%s in %d buffers: %v", what, room, err)
			}
		}
	}
	latent := random(v.Channels()*5, 5)
	try("Decode", func() error {
		return v.Decode(t.Context(), latent, 5, 1, 1, vae.DecodeOptions{Chunk: 3}, func(int, []float32) error { return nil })
	})
	try("Encode", func() error {
		_, err := v.Encode(t.Context(), func(int, []float32) error { return nil }, v.Frames(2), v.Stride(), v.Stride(), 0)
		return err
	})
}

func TestCallerErrors(t *testing.T) {
	v := load(t, openCPU(t))
	full := errors.New("disk full")
	z := v.Channels()
	if err := v.Decode(t.Context(), make([]float32, z*2), 2, 1, 1, vae.DecodeOptions{Chunk: 1}, func(int, []float32) error { return full }); !errors.Is(err, full) {
		t.Errorf("Decode with a failing emit: %v", err)
	}
	if _, err := v.Encode(t.Context(), func(int, []float32) error { return full }, 1, v.Stride(), v.Stride(), 0); !errors.Is(err, full) {
		t.Errorf("Encode with a failing source: %v", err)
	}
	nothing := func(int, []float32) error { return nil }
	for _, err := range []error{
		v.Decode(t.Context(), make([]float32, z+1), 1, 1, 1, vae.DecodeOptions{Chunk: 1}, nothing),
		v.Decode(t.Context(), nil, 0, 1, 1, vae.DecodeOptions{Chunk: 1}, nothing),
		v.Decode(t.Context(), make([]float32, z), 1, 1, 1, vae.DecodeOptions{Chunk: -1}, nothing),
		second(v.Encode(t.Context(), nothing, v.StrideT(), v.Stride(), v.Stride(), 0)),
		second(v.Encode(t.Context(), nothing, 0, v.Stride(), v.Stride(), 0)),
		second(v.Encode(t.Context(), nothing, 1, v.Stride()+1, v.Stride(), 0)),
		second(v.Encode(t.Context(), nothing, 1, v.Stride(), 0, 0)),
	} {
		if err == nil {
			t.Error("a wrong size gives no error")
		} else {
			t.Log(err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// TestPast has a decoder begin as late as it may: the frame after makes the same bits as in a
// decoder of the whole video, and one that begins a frame later others.
func TestPast(t *testing.T) {
	v := load(t, openCPU(t))
	whole := v.NewDecoder(0)
	defer whole.Close()
	past := whole.Past()
	const h, w = 1, 2
	f := past + 5
	latent := random(v.Channels()*f*h*w, 4)
	last := func(d *vae.Decoder, from int) (pictures []float32) {
		for t0 := from; t0 < f; t0++ {
			part := make([]float32, 0, v.Channels()*h*w)
			for z := range v.Channels() {
				part = append(part, latent[(z*f+t0)*h*w:][:h*w]...)
			}
			pictures = nil
			err := d.Decode(t.Context(), part, 1, h, w, func(_ int, rgb []float32) error {
				pictures = append(pictures, rgb...)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		return pictures
	}
	want := last(whole, 0)
	for late, same := range []bool{true, false} {
		d := v.NewDecoder(0)
		defer d.Close()
		if got := last(d, f-1-past+late*3); slices.Equal(got, want) != same {
			t.Errorf("begun %d frames before it, the same pictures: %t, want %t", past-late*3, !same, same)
		}
	}
}

// TestParts decodes and encodes a video part by part: the same bits as in one go.
func TestParts(t *testing.T) {
	dev := openCPU(t)
	v := load(t, dev)
	const f, h, w = 6, 2, 3
	loaded := dev.Info().Allocated
	latent := random(v.Channels()*f*h*w, 3)
	want := decode(t, v, latent, f, h, w, 1)
	frames, plane := v.Frames(f), h*w*v.Stride()*v.Stride()
	for _, chunk := range []int{0, 1, 2} {
		d := v.NewDecoder(chunk)
		defer d.Close()
		got := make([]float32, len(want))
		next := 0
		for from := 0; from < f; from += 3 {
			var part []float32
			for z := range v.Channels() {
				part = append(part, latent[(z*f+from)*h*w:(z*f+from+3)*h*w]...)
			}
			err := d.Decode(t.Context(), part, 3, h, w, func(i int, rgb []float32) error {
				if i != next {
					t.Errorf("picture %d after %d of them", i, next)
				}
				next++
				for c := range 3 {
					copy(got[(c*frames+i)*plane:], rgb[c*plane:(c+1)*plane])
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("chunk %d: other pictures than of the whole latent", chunk)
		}
		d.Close()
	}
	if held := dev.Info().Allocated - loaded; held > 0 {
		t.Errorf("%d bytes are held by closed decoders", held)
	}
}

// TestPictureEncoder encodes a picture part by part until nothing changes any more, and on.
func TestPictureEncoder(t *testing.T) {
	dev := openCPU(t)
	v := load(t, dev)
	const f, height, width = 40, 32, 48
	loaded := dev.Info().Allocated
	picture := random(3*height*width, 5)
	want, err := v.Encode(t.Context(), func(i int, rgb []float32) error {
		clear(rgb)
		if i == 0 {
			copy(rgb, picture)
		}
		return nil
	}, v.Frames(f), height, width, 0)
	if err != nil {
		t.Fatal(err)
	}
	e, err := v.NewPictureEncoder(picture, height, width)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	plane := len(want) / v.Channels() / f
	settled := 0
	for from := 0; from < f; from += 4 {
		part := make([]float32, v.Channels()*4*plane)
		if err := e.Next(t.Context(), part, 4); err != nil {
			t.Fatal(err)
		}
		for z := range v.Channels() {
			if !slices.Equal(part[z*4*plane:(z+1)*4*plane], want[(z*f+from)*plane:(z*f+from+4)*plane]) {
				t.Fatalf("latent frames from %d on: other bits than of the whole video", from)
			}
		}
		if dev.Info().Allocated == loaded && settled == 0 {
			settled = from + 4
		}
	}
	if settled == 0 {
		t.Errorf("the encoder gave its memory back after %d latent frames", settled)
	}
	t.Logf("settled within %d latent frames", settled)
	if _, err := v.NewPictureEncoder(picture, height+1, width); err == nil {
		t.Error("an encoder for pictures of an odd height")
	}
}
