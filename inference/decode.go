package inference

import (
	"context"
	"errors"
	"fmt"
	"image"
	"io"
	"time"

	"gimbal/inference/device"
	"gimbal/inference/picture"
	"gimbal/inference/vae"
	"gimbal/inference/video"
	"gimbal/inference/weights"
)

// decode turns the finished latent into the video and the files beside it. Only
// when all of them are there is the run's folder removed.
func (r *run) decode(ctx context.Context, c conditioning) (Saved, error) {
	out, err := r.openOutputs()
	if err != nil {
		return Saved{}, err
	}
	defer out.abort()
	chunk := r.job.vaeChunk(r.frames)
	tell := func(done, total int) { r.emit(Decoding{Frames: r.frames * done / total, Total: r.frames}) }
	options := vae.DecodeOptions{Chunk: chunk, Tile: r.job.VAETile, Progress: tell}
	err = r.p.vae.Decode(ctx, r.latent, r.f, r.h, r.w, options, func(t int, rgb []float32) error {
		if bad := notFinite(rgb); bad != "" {
			return fmt.Errorf("frame %d: %s", t+1, bad)
		}
		return errors.Join(out.frame(rgb), ctx.Err())
	})
	r.p.dev.Trim()
	if err != nil {
		return Saved{}, fmt.Errorf("decoding: %w", err)
	}
	if r.job.DumpFile != "" {
		if err := r.dump(c, out.planes); err != nil {
			return Saved{}, err
		}
	}
	return r.publish(out)
}

// outputs are the files that take the video's frames.
type outputs struct {
	video  *video.Writer
	sheet  *video.Sheet
	pngs   *video.PNGs // nil for none
	frames *image.RGBA // the frame at hand
	planes [][]float32 // all frames as decoded, for the tensor dump; nil for none
	dump   bool
}

func (r *run) openOutputs() (*outputs, error) {
	o := &outputs{
		sheet:  video.NewSheet(r.frames, video.SheetOptions{}),
		frames: image.NewRGBA(image.Rect(0, 0, r.width, r.height)),
		dump:   r.job.DumpFile != "",
	}
	var err error
	if r.job.FramesDir != "" {
		if o.pngs, err = video.CreatePNGs(r.job.FramesDir); err != nil {
			return nil, err
		}
	}
	o.video, err = video.Create(r.job.Output, r.video())
	return o, err
}

func (o *outputs) frame(rgb []float32) error {
	n := len(rgb) / 3
	video.FromFloat(o.frames, rgb[:n], rgb[n:2*n], rgb[2*n:])
	if o.dump {
		o.planes = append(o.planes, append([]float32(nil), rgb...))
	}
	o.sheet.Add(o.frames)
	if o.pngs != nil {
		if err := o.pngs.WriteFrame(o.frames); err != nil {
			return err
		}
	}
	return o.video.WriteFrame(o.frames)
}

func (o *outputs) abort() { o.video.Abort() }

// sidecar is what the .json beside a video says: everything needed to make it
// again, and how it went.
type sidecar struct {
	Program    string    `json:"program"`
	Job        Job       `json:"job"`
	Checkpoint source    `json:"checkpoint"`
	Device     string    `json:"device"`
	Width      int       `json:"width"`
	Height     int       `json:"height"`
	Frames     int       `json:"frames"`
	Finished   time.Time `json:"finished"`
	Seconds    float64   `json:"seconds"` // of the last call; a resumed run took longer
}

// publish puts the finished files in their places and removes the run's folder.
func (r *run) publish(out *outputs) (Saved, error) {
	saved := Saved{Video: r.job.Output, ContactSheet: r.job.beside(".png"), Sidecar: r.job.beside(".json")}
	if err := out.sheet.WriteFile(saved.ContactSheet); err != nil {
		return Saved{}, err
	}
	err := video.WriteSidecar(saved.Sidecar, sidecar{
		Program: "Gimbal", Job: r.job, Checkpoint: r.p.source, Device: r.p.dev.Info().Name,
		Width: r.width, Height: r.height, Frames: r.frames,
		Finished: time.Now(), Seconds: time.Since(r.started).Seconds(),
	})
	if err != nil {
		return Saved{}, err
	}
	if err := out.video.Close(); err != nil {
		return Saved{}, err
	}
	return saved, r.state.Remove()
}

// dump writes the run's tensors, F32, to one safetensors file: noise, vae_input,
// image_latent, latent and video, the last clamped to [-1, 1].
func (r *run) dump(c conditioning, frames [][]float32) error {
	z := r.p.vae.Channels()
	latent, pixels := []int{z, r.f, r.h, r.w}, []int{3, r.frames, r.height, r.width}
	input := make([][]float32, r.frames)
	grey := make([]float32, 3*r.height*r.width)
	for t := range input {
		input[t] = grey
	}
	input[0] = picture.Tensor(r.picture, r.width, r.height)
	return weights.WriteSafetensors(r.job.DumpFile, []weights.Source{
		{Name: "noise", DType: device.F32, Shape: latent, Write: values(r.noise())},
		{Name: "vae_input", DType: device.F32, Shape: pixels, Write: planes(input, false)},
		{Name: "image_latent", DType: device.F32, Shape: latent, Write: values(c.picture)},
		{Name: "latent", DType: device.F32, Shape: latent, Write: values(r.latent)},
		{Name: "video", DType: device.F32, Shape: pixels, Write: planes(frames, true)},
	}, nil)
}

func values(v []float32) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := w.Write(device.Bytes(v))
		return err
	}
}

// planes writes frames of [3, H, W] each as one tensor [3, T, H, W].
func planes(frames [][]float32, clamp bool) func(io.Writer) error {
	return func(w io.Writer) error {
		n := len(frames[0]) / 3
		plane := make([]float32, n)
		for c := range 3 {
			for _, frame := range frames {
				copy(plane, frame[c*n:])
				if clamp {
					for i, v := range plane {
						plane[i] = min(max(v, -1), 1)
					}
				}
				if _, err := w.Write(device.Bytes(plane)); err != nil {
					return err
				}
			}
		}
		return nil
	}
}
