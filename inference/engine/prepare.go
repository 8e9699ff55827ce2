package inference

import (
	"errors"
	"fmt"
	"image"

	"gimbal/inference/camera"
	"gimbal/inference/picture"
	"gimbal/inference/video"
)

// prepared is a job whose files were read and checked: all that the long work
// needs from outside.
type prepared struct {
	job           Job
	picture       image.Image
	path          *camera.Path // nil for no camera control
	frames        int          // of the video: Job.Frames, or fewer where the camera path is shorter
	width, height int          // of the video, pixels
	f, h, w       int          // of the latent
	notices       []string
}

// prepare checks the job's settings and reads its files, without long work. It
// reports everything that is wrong at once.
func (p *Pipeline) prepare(job Job) (*prepared, error) {
	q := &prepared{job: job, frames: job.Frames}
	errs := []error{job.Validate()}
	errs = append(errs, q.readPicture(), q.readCamera(p), checkOutputs(job))
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	q.f = (q.frames-1)/p.vae.StrideT() + 1
	q.noticeLength(p, "prompt", job.Prompt)
	q.noticeLength(p, "negative prompt", job.NegativePrompt)
	return q, nil
}

// noticeLength says so if a prompt is longer than what the model reads of it.
func (q *prepared) noticeLength(p *Pipeline, what, text string) {
	if n, limit := p.CountTokens(text); n > limit {
		q.notices = append(q.notices, fmt.Sprintf("the %s has %d tokens, of which the model reads the first %d", what, n, limit))
	}
}

func (q *prepared) readPicture() error {
	if q.job.Image == "" {
		return nil // Validate has said so
	}
	img, err := picture.Load(q.job.Image)
	if err != nil {
		return err
	}
	size := img.Bounds().Size()
	fit, err := picture.Fit(size.X, size.Y, q.job.MaxArea)
	if err != nil {
		return fmt.Errorf("%s: %w", q.job.Image, err)
	}
	q.picture = img
	q.width, q.height, q.w, q.h = fit.Width, fit.Height, fit.LatentWidth, fit.LatentHeight
	return q.video().Check()
}

// video describes the .mp4 of the job.
func (q *prepared) video() video.Options {
	return video.Options{Width: q.width, Height: q.height, FPS: q.job.FPS}
}

func (q *prepared) readCamera(p *Pipeline) error {
	if q.job.ActionPath == "" {
		return nil
	}
	if !p.HasCamera() {
		return fmt.Errorf("action_path: %s was given, but the checkpoint %s has no camera control; leave it out or use a base-cam checkpoint",
			q.job.ActionPath, p.layout.Dir)
	}
	path, err := camera.Open(q.job.ActionPath)
	if err != nil {
		return err
	}
	q.path = path
	if q.frames = path.EffectiveFrames(q.job.Frames); q.frames < q.job.Frames {
		q.notices = append(q.notices, fmt.Sprintf("%d frames instead of %d: %s holds %d poses",
			q.frames, q.job.Frames, q.job.ActionPath, path.Frames()))
	}
	return nil
}
