package bench

import (
	"context"
	"math"

	"gimbal/inference"
	"gimbal/inference/device"
	"gimbal/inference/engine"
)

// Options say what a benchmark runs on.
type Options struct {
	// Open opens the device; a benchmark that measures memory opens it anew for each row.
	Open func() (device.Device, error)
	// Checkpoint is the folder of the checkpoint that is measured. With Dims, its text
	// encoder and tokenizer alone are used.
	Checkpoint string
	Dims       *Dims // nil for the checkpoint
	// Job is what runs of the whole pipeline make: its prompt, solver and guidance, and,
	// without Dims, its picture, frames, size and camera path (none for one of the
	// benchmark's own). Outputs are set by the benchmark.
	Job inference.Job
	// Temp is the folder for temporary files, as large as the weights; "" for the system's.
	Temp string
	// Progress is told, in words, what is going on.
	Progress func(text string)
}

// run makes one video with the model of a checkpoint, and reports what happened in between.
func (o Options) run(ctx context.Context, dev device.Device, checkpoint string, q inference.Quant, job inference.Job, emit func(inference.Event)) error {
	p, err := engine.Load(ctx, dev, checkpoint, q, emit)
	if err != nil {
		return err
	}
	defer p.Close()
	_, err = p.Generate(ctx, job, "", emit)
	return err
}

// frames returns the number of frames of a clip.
func (o Options) frames() int {
	if o.Dims != nil {
		return o.Dims.Frames
	}
	return o.Job.Frames
}

// size returns that of a frame, in pixels.
func (o Options) size() (width, height int) {
	if o.Dims != nil {
		return o.Dims.Width, o.Dims.Height
	}
	side := math.Sqrt(float64(o.Job.MaxArea))
	return int(side * math.Sqrt(aspect)), int(side / math.Sqrt(aspect))
}

// aspect is the shape of the frames that a checkpoint's VAE decodes.
const aspect = 832. / 480
