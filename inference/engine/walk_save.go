package engine

import (
	"context"
	"errors"
	"fmt"
	"image"
	"time"

	"gimbal/inference"
)

// WalkVideo is a video to be made of a walk's chunks.
type WalkVideo struct {
	Output    string // the .mp4
	FramesDir string // folder for the frames as PNG files; "" for none
	Prompt    string // for the sidecar
	Chunks    int
	Latent    func(k int) ([]float32, error) // of chunk k
}

// Save decodes chunks as a whole, by the decoder of the job, to a video and the files beside
// it, as a run does. It may be called while the walk goes on.
func (w *Walk) Save(ctx context.Context, v WalkVideo, emit func(inference.Event)) (saved inference.Saved, err error) {
	r := *w.maker.run
	c := *r.clip
	r.clip, r.emit = &c, emit
	r.started, c.Frames = time.Now(), w.Shape().Frames(v.Chunks)
	r.job.Output, r.job.FramesDir, r.job.Prompt, r.job.Frames = v.Output, v.FramesDir, v.Prompt, c.Frames
	if r.job, err = absolute(r.job); err != nil {
		return saved, err
	}
	if v.Chunks == 0 {
		return saved, errors.New("walk: there is nothing to save yet")
	}
	err = errors.Join(inference.FindSetting("save_file").Check(r.job), checkOutputs(r.job, r.p.layout.Dir, nil), checkFrames(r.job), r.checkSpace())
	if err != nil {
		return saved, err
	}
	out, err := r.openOutputs()
	if err != nil {
		return saved, err
	}
	defer out.video.Abort()
	d, frame := w.NewDecoder(r.job.Decoder == inference.DecoderTiny), 0
	defer d.Close()
	for k := range v.Chunks {
		latent, err := v.Latent(k)
		if err == nil {
			err = d.Decode(ctx, latent, func(p *image.RGBA) error {
				frame++
				if err := out.picture(p); err != nil {
					return err
				}
				emit(inference.Frame{Index: frame, Total: c.Frames, Picture: p})
				return nil
			})
		}
		if err != nil {
			return saved, fmt.Errorf("decoding chunk %d: %w", k+1, err)
		}
		emit(inference.Decoding{Frames: frame, Total: c.Frames})
	}
	return r.publish(out)
}
