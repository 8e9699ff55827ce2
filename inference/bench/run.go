package bench

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"time"

	"gimbal/inference"
	"gimbal/inference/weights"
)

// result is what one run of the pipeline took and gave.
type result struct {
	prepared inference.Prepared
	experts  []string // folders of those that the checkpoint has

	weights  int64   // bytes of the experts
	quantise float64 // seconds; 0 if the weights were there
	source   int64   // bytes that were quantised
	files    map[string]string

	text, picture, decode float64 // seconds
	steps                 []float64
	blocks                []float64 // of a step's seconds, those in transformer blocks
	passes                int       // of the experts
	working               int64     // most bytes of the device in use

	latent, video []float32
}

// run makes a video on a device of its own, with the experts' weights kept as q
// says.
func (f *folder) run(ctx context.Context, o Options, q inference.Quant, job inference.Job) (*result, error) {
	plain, err := o.Open()
	if err != nil {
		return nil, err
	}
	defer plain.Close()
	dev := &Meter{Device: plain}
	out, err := os.MkdirTemp(f.path, "run-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(out)
	job.Output, job.DumpFile = filepath.Join(out, "video.mp4"), filepath.Join(out, "tensors.safetensors")
	if o.Dims != nil {
		job.Image = f.picturePath()
		job.MaxArea = o.Dims.Height*o.Dims.Width + 1 // or the rule that finds the sides rounds down to the next smaller ones
	}
	if o.Dims != nil || job.ActionPath == "" {
		job.ActionPath = f.cameraPath()
	}
	r := &result{files: map[string]string{}}
	if err := o.run(ctx, dev, f.checkpoint, q, job, r.watch(o, dev)); err != nil {
		return nil, err
	}
	r.working = dev.Info().Peak
	return r, r.read(job.DumpFile)
}

// watch returns a function that notes what a run reports.
func (r *result) watch(o Options, dev *Meter) func(inference.Event) {
	var began time.Time // of what is going on
	before := 0.0
	return func(e inference.Event) {
		switch e := e.(type) {
		case inference.Loading:
			if e.Part == weights.HighNoise || e.Part == weights.LowNoise {
				r.weights += e.Bytes
				r.experts = append(r.experts, e.Part)
			}
			began = time.Now()
		case inference.Quantizing:
			if e.Done == e.Total {
				r.source += e.Total
			}
		case inference.Quantized:
			if len(r.files) == 0 {
				r.weights = 0
			}
			if r.weights += e.Bytes; r.source > 0 {
				r.quantise += time.Since(began).Seconds()
			}
			r.files[e.Part] = e.File
			began = time.Now()
		case inference.Prepared:
			r.prepared = e
		case inference.TextEncoded:
			r.text = e.Seconds
		case inference.PictureEncoded:
			r.picture = e.Seconds
			before = dev.Blocks
		case inference.Step:
			r.steps = append(r.steps, e.Seconds)
			r.passes += e.Passes
			r.blocks = append(r.blocks, dev.Blocks-before)
			before, began = dev.Blocks, time.Now()
			o.Progress(stepText(e))
		case inference.Saved:
			r.decode = time.Since(began).Seconds()
		}
	}
}

// read reads the tensors that the run wrote.
func (r *result) read(path string) error {
	tensors, err := ReadTensors(path, "latent", "video")
	r.latent, r.video = tensors["latent"], tensors["video"]
	return err
}

// step returns the seconds of the fastest step after the first, which prepares what
// all steps share, and of them those in transformer blocks.
func (r *result) step() (seconds, blocks float64) {
	from := min(1, len(r.steps)-1)
	best := from + slices.Index(r.steps[from:], slices.Min(r.steps[from:]))
	return r.steps[best], r.blocks[best]
}

// once returns the seconds that the first step takes to prepare the others.
func (r *result) once() float64 {
	step, _ := r.step()
	return max(0, r.steps[0]-step)
}

// patchVolume is how many positions of a latent make a token.
const patchVolume = 1 * 2 * 2

// tokens returns how many there are in an attention.
func (r *result) tokens() int {
	p := r.prepared.LatentShape
	return p[1] * p[2] * p[3] / patchVolume
}
