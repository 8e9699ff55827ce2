package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"gimbal/inference"
	"gimbal/inference/device"
	"gimbal/inference/vae"
	"gimbal/inference/wan"
	"gimbal/inference/weights"
	"gimbal/metalkit"
)

// runTune has the device choose its kernels anew: it forgets what it chose before, and
// runs one block of the model on zeros.
func runTune(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := flag.NewFlagSet("tune", flag.ContinueOnError)
	frames := fs.Int("frame_num", 41, "`frames` of the clips to tune for, 4n+1")
	height, width := fs.Int("height", 480, "`pixels` of a frame's height"), fs.Int("width", 832, "`pixels` of its width")
	if err := parse(fs, args, stdout, 0); err != nil {
		return err
	}
	if err := inference.CheckFrames(*frames); err != nil {
		return usageError{err}
	}
	if *height < 16 || *width < 16 || *height%16 != 0 || *width%16 != 0 {
		return usagef("--height %d --width %d: want multiples of 16", *height, *width)
	}
	options := metalOptions(slog.New(slog.NewTextHandler(stderr, nil)))
	dev, err := metalkit.Open(options)
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
	if dev, err = metalkit.Open(options); err != nil {
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

// runBlank runs a forward of an expert and decodes a little with a VAE, of sizes d, on
// dev, with zeros for weights and inputs.
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
	return v.Decode(ctx, nil, min(inference.Wan.LatentFrames(frames), 2), height/inference.Wan.Stride, width/inference.Wan.Stride, vae.DecodeOptions{Chunk: 1}, func(int, []float32) error { return nil })
}

func forwardBlank(ctx context.Context, model *wan.Model, frames, height, width int) error {
	defer model.Close()
	s, err := model.NewSession(ctx, blankInput(model, frames, height, width))
	if err != nil {
		return err
	}
	defer s.Close()
	return s.Velocity(ctx, nil, 0, 0, nil)
}

// blankInput is of the sizes of a clip with a camera path and has no contents.
func blankInput(m *wan.Model, frames, height, width int) wan.Input {
	return wan.Input{
		F: inference.Wan.LatentFrames(frames), H: height / inference.Wan.Stride, W: width / inference.Wan.Stride,
		Contexts: []wan.Context{{Tokens: m.Config.TextLen}}, Camera: true, Reuse: wan.AllReuse,
	}
}

// blank is a device whose buffers keep their zeros: nothing is read from the host. To
// the model it is dry and needs no contents; operations do run.
type blank struct{ device.Device }

// Info implements device.Device.
func (b blank) Info() device.Info {
	info := b.Device.Info()
	info.Dry = true
	return info
}

// Map returns a buffer of zeros.
func (b blank) Map(desc device.Desc, _ []byte, _ func()) (device.Buffer, error) {
	return b.Device.Alloc(desc)
}

// Write does nothing.
func (blank) Write(ctx context.Context, _ device.Buffer, _ []byte) error { return ctx.Err() }

// Read does nothing.
func (blank) Read(ctx context.Context, _ []byte, _ device.Buffer) error { return ctx.Err() }
