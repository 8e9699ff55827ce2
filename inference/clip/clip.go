package clip

import (
	"cmp"
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

	told int // frames of the control that are told; 0 for Frames
}

// The size of the picture of a job without one, which only planning knows.
const defaultWidth, defaultHeight = 832, 480

// Open looks at the picture and the control that a job names. It reports everything that
// is wrong, as SettingErrors.
func Open(job inference.Job) (*Clip, error) { return OpenSized(job, 0, 0) }

// OpenSized is Open for a job without a picture that will have one of width by height
// pixels; 0 for a usual one.
func OpenSized(job inference.Job, width, height int) (*Clip, error) {
	c := &Clip{Frames: job.Frames, PictureWidth: width, PictureHeight: height}
	if err := errors.Join(c.measure(job), c.openControl(job)); err != nil {
		return nil, err
	}
	c.LatentFrames = inference.Wan.LatentFrames(c.Frames)
	return c, nil
}

func (c *Clip) measure(job inference.Job) (err error) {
	width, height := cmp.Or(c.PictureWidth, defaultWidth), cmp.Or(c.PictureHeight, defaultHeight)
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

func (c *Clip) openControl(job inference.Job) (err error) {
	if c.Control, err = OpenControl(job); err != nil {
		if len(inference.SettingErrors(err)) == 0 {
			err = &inference.SettingError{Setting: "action_path", Mistake: inference.Unusable, Err: err}
		}
		return err
	}
	if c.Control != nil {
		c.Frames = c.Control.EffectiveFrames(c.Frames)
	}
	return nil
}

// Round makes the clip's latent a whole number of chunks of so many latent frames, as the
// causal models want it, and the video as long as that. The control is told as a whole, in
// fewer latent frames. The error says that the clip has not a single chunk.
func (c *Clip) Round(chunk int) error {
	latent := c.LatentFrames - c.LatentFrames%chunk
	if latent == 0 {
		return fmt.Errorf("found %d frames, %d latent ones, expected at least %d for a chunk of %d latent frames",
			c.Frames, c.LatentFrames, inference.Wan.Frames(chunk), chunk)
	}
	if c.told == 0 {
		c.told = c.Frames
	}
	c.LatentFrames, c.Frames = latent, inference.Wan.Frames(latent)
	return nil
}

// Check says why the control cannot steer the clip by a model that reads so many channels.
func (c *Clip) Check(channels int) error { return c.Control.Check(channels, c.view().Frames) }

// Conditioning returns what a model of so many channels reads of the control in the latent
// frames from up to to: float32 [channels, to-from, latent height, latent width].
func (c *Clip) Conditioning(channels, from, to int) []float32 {
	v := c.view()
	v.From, v.To = from, to
	return c.Control.Conditioning(channels, v)
}

// Notes are what a person should know of the control.
func (c *Clip) Notes() []Note { return c.Control.Notes(c.view().Frames) }

func (c *Clip) view() View {
	v := View{Frames: c.told, LatentFrames: c.LatentFrames, Height: c.Height, Width: c.Width}
	if v.Frames == 0 {
		v.Frames = c.Frames
	}
	return v
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
