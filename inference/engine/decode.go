package engine

import (
	"context"
	"errors"
	"fmt"
	"image"
	"io"
	"slices"
	"time"

	"gimbal/inference"
	"gimbal/inference/device"
	"gimbal/inference/output"
	"gimbal/inference/vae"
	"gimbal/inference/video"
	"gimbal/inference/weights"
)

// What the video's files take while they are written: bytes per pixel of a frame, as
// measured, and the pictures of the contact sheet and their pixels.
const (
	videoBytes    = 24
	sheetPictures = 12
	sheetPixels   = 400 * 250
)

// decode turns the finished latent into the video and the files beside it. Only
// when all of them are there is the run's folder removed.
func (r *run) decode(ctx context.Context, c conditioning) (inference.Saved, error) {
	held := r.outputBytes()
	r.p.dev.Hold(held)
	defer r.p.dev.Hold(-held)
	if r.planning() {
		return inference.Saved{}, r.decodeTo(ctx, nil)
	}
	out, err := r.openOutputs()
	if err != nil {
		return inference.Saved{}, err
	}
	defer out.video.Abort()
	if err := r.decodeTo(ctx, out); err != nil {
		return inference.Saved{}, fmt.Errorf("decoding: %w", err)
	}
	if r.job.DumpFile != "" {
		if err := r.dump(c, out.planes); err != nil {
			return inference.Saved{}, err
		}
	}
	return r.publish(out)
}

// outputBytes is what the program holds for the files that take the frames.
func (r *run) outputBytes() int64 {
	pixels := int64(r.clip.Width * r.clip.Height)
	sheet := int64(min(r.clip.Frames, sheetPictures)) * min(pixels, sheetPixels)
	held := videoBytes*pixels + 2*4*sheet // the frame at hand and the encoder's; the contact sheet and its pictures
	if r.job.DumpFile != "" {
		held += int64(r.clip.Frames) * 3 * 4 * pixels
	}
	return held
}

// decodeTo hands the frames to out, nil for nobody.
func (r *run) decodeTo(ctx context.Context, out *outputs) error {
	o := vae.DecodeOptions{Chunk: r.job.VAEChunk, Tile: r.job.VAETile, Progress: r.decoding()}
	if r.clip.Frames <= r.job.VAEChunkThreshold {
		o.Chunk = 0
	}
	err := r.videoDecoder().Decode(ctx, r.latent, r.clip.LatentFrames, r.clip.LatentHeight, r.clip.LatentWidth, o, func(t int, rgb []float32) error {
		if out == nil {
			return nil
		}
		if bad := notFinite(rgb); bad != "" {
			return fmt.Errorf("frame %d: %s", t+1, bad)
		}
		if err := errors.Join(out.frame(rgb), ctx.Err()); err != nil {
			return err
		}
		r.emit(inference.Frame{Index: t + 1, Total: r.clip.Frames, Picture: out.last()})
		return nil
	})
	r.p.dev.Trim()
	return err
}

// decoding returns a function that reports how many of the video's frames are done, once
// for each number, as tiles are parts of all frames.
func (r *run) decoding() func(done, total int) {
	last := 0
	return func(done, total int) {
		if frames := r.clip.Frames * done / total; frames > last {
			last = frames
			r.emit(inference.Decoding{Frames: frames, Total: r.clip.Frames})
		}
	}
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
		sheet:  video.NewSheet(r.clip.Frames, video.SheetOptions{}),
		frames: image.NewRGBA(image.Rect(0, 0, r.clip.Width, r.clip.Height)),
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

// video describes the .mp4 of the job.
func (r *run) video() video.Options {
	return video.Options{Width: r.clip.Width, Height: r.clip.Height, FPS: r.job.FPS}
}

func (o *outputs) frame(rgb []float32) error {
	n := len(rgb) / 3
	video.FromFloat(o.frames, rgb[:n], rgb[n:2*n], rgb[2*n:])
	if o.dump {
		o.planes = append(o.planes, append([]float32(nil), rgb...))
	}
	return o.picture(o.frames)
}

// picture takes a frame that is a picture already.
func (o *outputs) picture(p *image.RGBA) error {
	o.sheet.Add(p)
	if o.pngs != nil {
		if err := o.pngs.WriteFrame(p); err != nil {
			return err
		}
	}
	return o.video.WriteFrame(p)
}

// last returns a copy of the latest frame.
func (o *outputs) last() image.Image {
	return &image.RGBA{Pix: slices.Clone(o.frames.Pix), Stride: o.frames.Stride, Rect: o.frames.Rect}
}

// sidecar is what the .json beside a video says: everything needed to make it
// again, and how it went.
type sidecar struct {
	Program    string        `json:"program"`
	Job        inference.Job `json:"job"`
	Checkpoint source        `json:"checkpoint"`
	Device     string        `json:"device"`
	Width      int           `json:"width"`
	Height     int           `json:"height"`
	Frames     int           `json:"frames"`
	Finished   time.Time     `json:"finished"`
	Seconds    float64       `json:"seconds"` // of the last call; a resumed run took longer
}

// publish puts the finished files in their places and removes the run's folder.
func (r *run) publish(out *outputs) (inference.Saved, error) {
	// Hours may have passed since that was looked at.
	if err := output.CheckThere(files(r.job)); err != nil {
		return inference.Saved{}, err
	}
	saved := inference.Saved{Video: r.job.Output, ContactSheet: Beside(r.job, ".png"), Sidecar: Beside(r.job, ".json")}
	if err := out.sheet.WriteFile(saved.ContactSheet); err != nil {
		return inference.Saved{}, err
	}
	err := video.WriteSidecar(saved.Sidecar, sidecar{
		Program: video.Program, Job: r.job, Checkpoint: r.source(), Device: r.p.dev.Info().Name,
		Width: r.clip.Width, Height: r.clip.Height, Frames: r.clip.Frames,
		Finished: time.Now(), Seconds: time.Since(r.started).Seconds(),
	})
	if err != nil {
		return inference.Saved{}, err
	}
	if err := out.video.Close(); err != nil {
		return inference.Saved{}, err
	}
	if r.state == nil { // a walk's
		return saved, nil
	}
	return saved, r.state.Remove()
}

// dumped are the names of the tensors that dump writes.
var dumped = []string{"image_latent", "latent", "noise", "vae_input", "video"}

// dumpedChunks are those that dumpChunks writes besides, as far as there are some.
var dumpedChunks = []string{"renoise", "plucker"}

// madeDump reports whether the file at path holds what dump writes.
func madeDump(path string) bool {
	store, err := weights.Open(path)
	if err != nil {
		return false
	}
	defer store.Close()
	names := slices.DeleteFunc(store.Names(), func(name string) bool { return slices.Contains(dumpedChunks, name) })
	return slices.Equal(slices.Sorted(slices.Values(names)), dumped)
}

// dump writes the run's tensors, F32, to one safetensors file: noise, vae_input,
// image_latent, latent and video, the last clamped to [-1, 1].
func (r *run) dump(c conditioning, frames [][]float32) error {
	first, err := r.firstFrame()
	if err != nil {
		return err
	}
	input := make([][]float32, r.clip.Frames)
	grey := make([]float32, len(first))
	for t := range input {
		input[t] = grey
	}
	input[0] = first
	return r.dumpTensors(input, c.picture, frames)
}

// dumpTensors writes what the runs of all models have, and more.
func (r *run) dumpTensors(input [][]float32, picture []float32, frames [][]float32, more ...weights.Source) error {
	shape := r.clip.LatentShape(r.p.vae.Channels())
	latent := shape[:]
	pixels := func(n int) []int { return []int{3, n, r.clip.Height, r.clip.Width} }
	output.Sweep(r.job.DumpFile)
	return weights.WriteSafetensors(r.job.DumpFile, append([]weights.Source{
		{Name: "noise", DType: device.F32, Shape: latent, Write: values(r.noise())},
		{Name: "vae_input", DType: device.F32, Shape: pixels(len(input)), Write: planes(input, false)},
		{Name: "image_latent", DType: device.F32, Shape: latent, Write: values(picture)},
		{Name: "latent", DType: device.F32, Shape: latent, Write: values(r.latent)},
		{Name: "video", DType: device.F32, Shape: pixels(len(frames)), Write: planes(frames, true)},
	}, more...), nil)
}

// dumpChunks is dump of a causal run: of vae_input the first frame, as the others are black,
// and besides renoise, the noise of the steps in the order in which it was drawn, and plucker.
func (r *run) dumpChunks(s *streaming) error {
	first, err := r.firstFrame()
	if err != nil {
		return err
	}
	var more []weights.Source
	if n := len(s.renoise); n > 0 {
		shape := []int{n, r.p.vae.Channels(), r.chunks.Chunk, r.clip.LatentHeight, r.clip.LatentWidth}
		more = append(more, weights.Source{Name: "renoise", DType: device.F32, Shape: shape, Write: values(slices.Concat(s.renoise...))})
	}
	if channels := r.p.controlChannels(); channels > 0 {
		shape := []int{1, channels, r.clip.LatentFrames, r.clip.LatentHeight, r.clip.LatentWidth}
		more = append(more, weights.Source{Name: "plucker", DType: device.F32, Shape: shape, Write: values(r.clip.Conditioning(channels, 0, r.clip.LatentFrames))})
	}
	return r.dumpTensors([][]float32{first}, s.picture, s.out.planes, more...)
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
