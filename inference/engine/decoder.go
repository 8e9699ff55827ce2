package engine

import (
	"context"
	"fmt"
	"image"

	"gimbal/inference"
	"gimbal/inference/device"
	"gimbal/inference/plan"
	"gimbal/inference/taehv"
	"gimbal/inference/vae"
	"gimbal/inference/weights"
)

// decoder turns latents into pictures.
type decoder interface {
	Decode(ctx context.Context, latent []float32, f, h, w int, o vae.DecodeOptions, emit func(t int, rgb []float32) error) error
	Tiles(h, w, side int) int
	Close()
}

// previewer makes pictures of latents that are not finished, one of each frame.
type previewer interface {
	Previews(ctx context.Context, latent []float32, f, h, w int) ([]image.Image, error)
	NewPreviewer() *taehv.Previewer
}

// smallDecoder is a decoder in a file of its own: for previews, and for the video where the
// job asks for it.
type smallDecoder struct {
	decoder
	store *weights.Store
}

// openSmall opens the small decoder that a job names, or else the one that lies with the
// checkpoint, on a device; nil for none. The files are TAEHV's, or a VAE of
// fewer channels (lightvaew2_1).
func (p *Pipeline) openSmall(ctx context.Context, dev device.Device, job inference.Job) (*smallDecoder, error) {
	fail := func(setting string, err error) error {
		return &inference.SettingError{Setting: setting, Mistake: inference.Unusable, Err: err}
	}
	path := job.DecoderPath
	if path == "" {
		if path = p.layout.SmallDecoder(); path == "" && job.Decoder == inference.DecoderTiny {
			return nil, &inference.SettingError{Setting: "decoder_path", Mistake: inference.Missing, Found: "none given",
				Want: "the file of a small decoder for Wan 2.1, such as taew2_1.safetensors, lighttaew2_1.pth or lightvaew2_1.pth"}
		}
	}
	if path == "" {
		return nil, nil
	}
	store, err := weights.Open(path)
	if err != nil {
		return nil, fail("decoder_path", err)
	}
	s := &smallDecoder{store: store}
	stats := statistics(p.layout)
	if weights.IsTAEHV(store) {
		s.decoder, err = loaded(taehv.Load(ctx, dev, store, stats))
	} else {
		s.decoder, err = loaded(vae.Load(ctx, dev, store, stats))
	}
	if err == nil {
		return s, nil
	}
	store.Close()
	return nil, fail("decoder_path", err)
}

// loaded is d, or nothing that is a decoder after an error.
func loaded[D decoder](d D, err error) (decoder, error) {
	if err != nil {
		return nil, err
	}
	return d, nil
}

// close gives everything back; a nil decoder has nothing.
func (s *smallDecoder) close() {
	if s != nil {
		s.Close()
		s.store.Close()
	}
}

// asksForSmall reports whether a job needs its small decoder, which otherwise is only a help.
func asksForSmall(job inference.Job) bool {
	return job.DecoderPath != "" || job.Decoder == inference.DecoderTiny
}

// checkSmall opens the run's small decoder without its weights, so that what is wrong with
// it is told before the run begins: as a notice where nobody asked for it.
func (r *run) checkSmall() error {
	s, err := r.p.openSmall(context.Background(), plan.NewDevice(r.p.dev, false), r.job)
	s.close()
	if err != nil && !asksForSmall(r.job) {
		r.notice(inference.NoticeDecoder, "previews are made without the small decoder beside the checkpoint: %v", err)
		return nil
	}
	return err
}

// videoDecoder returns what makes the video's pictures.
func (r *run) videoDecoder() decoder {
	if r.job.Decoder == inference.DecoderTiny && r.small != nil {
		return r.small
	}
	return r.p.vae
}

// partDecoder decodes a video part by part.
type partDecoder interface {
	Decode(ctx context.Context, latent []float32, f, h, w int, emit func(t int, rgb []float32) error) error
	// Past returns how many latent frames before one have a say in its pictures.
	Past() int
	Close()
}

// newPartDecoder returns what makes the video's pictures part by part, with so many latent
// frames at once where that can be chosen.
func (r *run) newPartDecoder(chunk int) partDecoder {
	d := r.videoDecoder()
	if s, ok := d.(*smallDecoder); ok {
		d = s.decoder
	}
	if v, ok := d.(*vae.VAE); ok {
		return v.NewDecoder(chunk)
	}
	return d.(*taehv.Model).NewDecoder()
}

// previewer returns what makes previews, nil for none but the VAE's statistics.
func (r *run) previewer() previewer {
	if r.small == nil {
		return nil
	}
	d, _ := r.small.decoder.(previewer)
	return d
}

// smallPreviews has work make the previews of the small decoder, times of which a plan counts.
func (r *run) smallPreviews(times int, work func() ([]image.Image, error)) (pictures []image.Image, err error) {
	err = r.phase("previews", times, func() error {
		if pictures, err = work(); err != nil {
			return fmt.Errorf("previews: %w", err)
		}
		return nil
	})
	return pictures, err
}

// previews returns a small picture of each latent frame: of the small decoder where there is
// one, or else by the VAE's statistics, or none where these do not say how a latent looks. In
// a plan they are those of so many steps.
func (r *run) previews(ctx context.Context, latent []float32, times int) ([]image.Image, error) {
	f, h, w := r.clip.LatentFrames, r.clip.LatentHeight, r.clip.LatentWidth
	if d := r.previewer(); d != nil {
		return r.smallPreviews(times, func() ([]image.Image, error) { return d.Previews(ctx, latent, f, h, w) })
	}
	if r.p.vae.RGB.Factors == nil || r.planning() {
		return nil, nil
	}
	pictures := make([]image.Image, f)
	for i := range pictures {
		pictures[i] = r.p.vae.Preview(latent, f, h, w, i)
	}
	return pictures, nil
}
