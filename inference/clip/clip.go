package clip

import (
	"errors"
	"fmt"

	"gimbal/inference"
	"gimbal/inference/picture"
)

// Clip is what a job's files come to. Only their heads were read: the picture is not
// decoded yet.
type Clip struct {
	Size
	PictureWidth, PictureHeight int // pixels; 0 for a job without a picture

	Frames       int     // of the video: the job's, or fewer where the control is shorter
	LatentFrames int     // of its latent
	Control      Control // nil for none
}

// The size of the picture of a job without one, which only planning knows.
const defaultWidth, defaultHeight = 832, 480

// Open looks at the picture and the control that a job names. It reports everything that
// is wrong, as SettingErrors.
func Open(job inference.Job) (*Clip, error) {
	c := &Clip{Frames: job.Frames}
	if err := errors.Join(c.measure(job), c.openControl(job.ActionPath)); err != nil {
		return nil, err
	}
	c.LatentFrames = inference.Wan.LatentFrames(c.Frames)
	return c, nil
}

func (c *Clip) measure(job inference.Job) (err error) {
	width, height := defaultWidth, defaultHeight
	if job.Image != "" {
		if width, height, err = picture.Bounds(job.Image); err != nil {
			return &inference.SettingError{Setting: "image", Mistake: inference.Unusable, Err: err}
		}
		c.PictureWidth, c.PictureHeight = width, height
	}
	if c.Size, err = Fit(width, height, job.MaxArea); err != nil {
		return &inference.SettingError{Setting: "max_area", Mistake: inference.Unusable, Err: err}
	}
	return nil
}

func (c *Clip) openControl(dir string) (err error) {
	if dir == "" {
		return nil
	}
	if c.Control, err = OpenControl(dir); err != nil {
		return &inference.SettingError{Setting: "action_path", Mistake: inference.Unusable, Err: err}
	}
	c.Frames = c.Control.EffectiveFrames(c.Frames)
	return nil
}

// LatentShape returns channels, frames, rows and columns of a latent of so many channels.
func (c *Clip) LatentShape(channels int) [4]int {
	return [4]int{channels, c.LatentFrames, c.LatentHeight, c.LatentWidth}
}

// Latent returns the number of values of a latent of so many channels.
func (c *Clip) Latent(channels int) int {
	return channels * c.LatentFrames * c.LatentHeight * c.LatentWidth
}

// String describes the video.
func (c *Clip) String() string { return fmt.Sprintf("%d frames of %dx%d", c.Frames, c.Width, c.Height) }
