package engine

import (
	"context"
	"fmt"
	"image"
	"time"

	"gimbal/inference"
	"gimbal/inference/device"
	"gimbal/inference/picture"
)

// conditioning is what the experts are told besides the latent and the time.
type conditioning struct {
	prompts [][]float32 // the prompt's and the negative prompt's hidden states, each [n, text]
	picture []float32   // the encoded picture and grey frames, [z, f, h, w]
}

// condition encodes the prompts and the picture.
func (r *run) condition(ctx context.Context) (c conditioning, err error) {
	if c.prompts, err = r.conditionText(ctx); err != nil {
		return c, err
	}
	begin := time.Now()
	err = r.phase("picture", r.tiles(r.p.vae), func() (err error) {
		c.picture, err = r.encodePicture(ctx)
		return err
	})
	if err != nil {
		return c, fmt.Errorf("encoding the picture: %w", err)
	}
	r.emit(inference.PictureEncoded{Seconds: time.Since(begin).Seconds()})
	return c, nil
}

// conditionText encodes the prompts.
func (r *run) conditionText(ctx context.Context) (prompts [][]float32, err error) {
	begin := time.Now()
	err = r.phase("text", 1, func() (err error) {
		prompts, err = r.encodePrompts(ctx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("encoding the prompt: %w", err)
	}
	r.emit(inference.TextEncoded{Tokens: len(r.prompts[0]), NegativeTokens: len(r.prompts[1]), Seconds: time.Since(begin).Seconds()})
	return prompts, nil
}

// encodePrompts returns the prompts' hidden states. With Offload the text encoder is then
// let go of, until the next job.
func (r *run) encodePrompts(ctx context.Context) (hidden [][]float32, err error) {
	if err := r.p.openText(ctx); err != nil {
		return nil, err
	}
	for _, ids := range r.prompts[:r.contexts()] {
		states, err := r.p.text.Encode(ctx, ids)
		if err != nil {
			return nil, err
		}
		r.p.dev.Hold(4 * int64(len(ids)*r.p.text.Dim()))
		hidden = append(hidden, states)
	}
	if r.job.Offload {
		r.p.closeText()
	}
	r.p.dev.Trim()
	return hidden, nil
}

// contexts returns how many of the prompts the model is told: a causal one without guidance
// not the negative one.
func (r *run) contexts() int {
	if g := r.guidance; r.chunks != nil && g.Low == 1 && g.High == 1 {
		return 1
	}
	return len(r.prompts)
}

// encodePicture returns the latent of the picture followed by grey frames, as the
// reference encodes it.
func (r *run) encodePicture(ctx context.Context) ([]float32, error) {
	first, err := r.firstFrame()
	if err != nil {
		return nil, err
	}
	defer r.p.dev.Hold(-3 * 4 * int64(r.clip.Width*r.clip.Height))
	latent, err := r.p.vae.Encode(ctx, func(t int, dst []float32) error {
		if t == 0 {
			copy(dst, first)
		} else {
			clear(dst)
		}
		return nil
	}, r.clip.Frames, r.clip.Height, r.clip.Width, r.job.VAETile)
	if err == nil {
		if bad := unhealthy(latent); bad != "" {
			err = fmt.Errorf("the latent is damaged: %s", bad)
		}
	}
	return latent, err
}

// firstFrame returns the picture in the video's size, [3, height, width].
func (r *run) firstFrame() ([]float32, error) {
	if r.planning() {
		return device.Floats(r.p.dev, 3*r.clip.Width*r.clip.Height), nil
	}
	img, err := r.picture.get()
	if err != nil {
		return nil, err
	}
	return picture.Tensor(img, r.clip.Width, r.clip.Height), nil
}

// tiles returns how many tiles the VAE, or another decoder, sees a picture in.
func (r *run) tiles(of interface{ Tiles(h, w, side int) int }) int {
	return of.Tiles(r.clip.LatentHeight, r.clip.LatentWidth, r.job.VAETile)
}

// decoded is a picture that is decoded when it is first needed.
type decoded struct {
	path string
	img  image.Image
}

func (d *decoded) get() (image.Image, error) {
	if d.img == nil {
		img, err := picture.Load(d.path)
		if err != nil {
			return nil, &inference.SettingError{Setting: "image", Mistake: inference.Unusable, Err: err}
		}
		d.img = img
	}
	return d.img, nil
}
