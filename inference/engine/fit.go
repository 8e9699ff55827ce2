package inference

import (
	"errors"
	"fmt"

	"gimbal/inference/camera"
	"gimbal/inference/picture"
)

// fit checks that the parts of the checkpoint belong together, which no part can
// see alone, and sets the tokenizer to what the experts read.
func (p *Pipeline) fit() error {
	var errs []error
	check := func(what string, found, want int, of string) {
		if found != want {
			errs = append(errs, fmt.Errorf("%s: found %d, expected %d, as %s: the parts are not of one checkpoint", what, found, want, of))
		}
	}
	check("the VAE's pixels a latent pixel", p.vae.Stride(), picture.Stride, "pictures are sized by")
	check("the VAE's frames a latent frame", p.vae.StrideT(), camera.TemporalStride, "camera paths are cut by")
	if found, most := p.tokenizer.Size(), p.text.Vocab(); found > most {
		errs = append(errs, fmt.Errorf("the tokenizer's pieces: found %d, expected at most %d, as the text encoder embeds: the parts are not of one checkpoint", found, most))
	}
	for name, m := range p.experts {
		check(name+": text_embedding.0.weight's columns", m.TextDim, p.text.Dim(), "the text encoder has channels")
		check(name+": out_dim", m.Config.OutDim, p.vae.Channels(), "the VAE's latent has channels")
		check(name+": in_dim", m.Config.InDim, 2*p.vae.Channels()+p.vae.StrideT(), "latent, picture and mask have channels together")
		if m.CameraChannels != 0 {
			check(name+": camera channels", m.CameraChannels, camera.Channels, "camera rays have")
		}
		check(name+": patch rows and columns", m.Patch[1]*m.Patch[2], picture.Patch*picture.Patch, "pictures are sized by")
		check(name+": patch frames", m.Patch[0], 1, "videos have any number of latent frames")
		p.tokenizer.MaxLen = min(p.tokenizer.MaxLen, m.Config.TextLen)
	}
	return errors.Join(errs...)
}
