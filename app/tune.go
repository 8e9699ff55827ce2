package main

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"time"

	"gimbal/inference"
	"gimbal/inference/device"
	"gimbal/inference/vae"
	"gimbal/inference/wan"
	"gimbal/inference/weights"
)

// runTune has the device choose its kernels anew: it forgets what it chose before, and
// runs one block of the model on noise.
func runTune(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := flag.NewFlagSet("tune", flag.ContinueOnError)
	frames := fs.Int("frame_num", 41, "`frames` of the clips to tune for, 4n+1")
	height, width := fs.Int("height", 480, "`pixels` of a frame's height"), fs.Int("width", 832, "`pixels` of its width")
	if err := parse(fs, args, stdout); err != nil {
		return err
	}
	if err := inference.CheckFrames(*frames); err != nil {
		return usageError{err}
	}
	if *height < 16 || *width < 16 || *height%16 != 0 || *width%16 != 0 {
		return usagef("--height %d --width %d: want multiples of 16", *height, *width)
	}
	options := metalOptions(slog.New(slog.NewTextHandler(stderr, nil)))
	options.Eager = true
	dev, err := openMetal(options)
	if errors.Is(err, device.ErrUnsupported) {
		return fmt.Errorf("there is nothing to tune: the kernels that are chosen by time are those of a Mac's GPU: %w", err)
	}
	if err != nil {
		return err
	}
	if options.Tuning == "" {
		dev.Close()
		return errors.New("there is no cache folder to keep the choices in")
	}
	// The choices are read when a device is opened.
	if err := errors.Join(dev.Close(), os.RemoveAll(options.Tuning)); err != nil {
		return err
	}
	if dev, err = openMetal(options); err != nil {
		return err
	}
	defer dev.Close()
	start := time.Now()
	d := weights.LingBotWorld
	d.Layers = 1
	if err := runBlank(ctx, dev, d, *frames, *height, *width); err != nil {
		return fmt.Errorf("tune for %d frames of %dx%d: %w", *frames, *height, *width, err)
	}
	_, err = fmt.Fprintf(stdout, "chose kernels for %s, %d frames of %dx%d, in %.0f s; they are kept in %s\n",
		dev.Info().Name, *frames, *height, *width, time.Since(start).Seconds(), options.Tuning)
	return err
}

// runBlank runs forwards of an expert and decodes a little with a VAE, of sizes d, on dev, with
// noise for weights and zeros for inputs. What it runs comes twice: a device looks at its kernels
// when a size comes again, with contents that they can be compared by.
func runBlank(ctx context.Context, dev device.Device, d weights.Dims, frames, height, width int) error {
	dev = blank{dev}
	expert := d.DryExpert()
	model, err := wan.Load(ctx, dev, expert.Store, expert.Config)
	if err != nil {
		return err
	}
	if err := forwardBlank(ctx, model, frames, height, width); err != nil {
		return err
	}
	v, err := vae.Load(ctx, dev, d.DryVAE(), vae.WanStatistics())
	if err != nil {
		return err
	}
	defer v.Close()
	return v.Decode(ctx, nil, min(inference.Wan.LatentFrames(frames), 3), height/inference.Wan.Stride, width/inference.Wan.Stride, vae.DecodeOptions{Chunk: 1}, func(int, []float32) error { return nil })
}

func forwardBlank(ctx context.Context, model *wan.Model, frames, height, width int) error {
	defer model.Close()
	s, err := model.NewSession(ctx, blankInput(model, frames, height, width))
	if err != nil {
		return err
	}
	defer s.Close()
	for range 2 {
		if err := s.Velocity(ctx, nil, 500, 0, nil); err != nil {
			return err
		}
	}
	return nil
}

// blankInput is of the sizes of a clip with a camera path and has no contents.
func blankInput(m *wan.Model, frames, height, width int) wan.Input {
	return wan.Input{
		F: inference.Wan.LatentFrames(frames), H: height / inference.Wan.Stride, W: width / inference.Wan.Stride,
		Contexts: []wan.Context{{Tokens: m.Config.TextLen}}, Camera: true, Reuse: wan.AllReuse,
	}
}

// blank is a device to which nothing comes from the host: weights are noise, all else begins with
// zeros. To the model it is dry and needs no contents; operations do run.
type blank struct{ device.Device }

// Info implements device.Device.
func (b blank) Info() device.Info {
	info := b.Device.Info()
	info.Dry = true
	return info
}

// Map returns a buffer of noise, or of zeros where elements are no floats.
func (b blank) Map(desc device.Desc, _ []byte, _ func()) (device.Buffer, error) {
	buffer, err := b.Device.Alloc(desc)
	if err != nil {
		return nil, err
	}
	if err := b.Device.Write(context.Background(), buffer, noiseOf(desc)); err != nil {
		buffer.Release()
		return nil, err
	}
	return buffer, nil
}

// noiseOf returns elements from -1/16 to 1/16, so that a model of any depth keeps its size.
func noiseOf(desc device.Desc) []byte {
	bytes, size := make([]byte, desc.Bytes()), desc.DType.Size()
	state := uint32(1)
	for at := 0; at < len(bytes); at += size {
		state = state*1664525 + 1013904223
		bits := math.Float32bits((float32(state>>8)/(1<<23) - 1) / 16)
		switch desc.DType {
		case device.F32:
			binary.LittleEndian.PutUint32(bytes[at:], bits)
		case device.BF16:
			binary.LittleEndian.PutUint16(bytes[at:], uint16(bits>>16))
		}
	}
	return bytes
}

// Write does nothing.
func (blank) Write(ctx context.Context, _ device.Buffer, _ []byte) error { return ctx.Err() }

// Read does nothing.
func (blank) Read(ctx context.Context, _ []byte, _ device.Buffer) error { return ctx.Err() }
