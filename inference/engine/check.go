package engine

import (
	"errors"
	"fmt"

	"gimbal/inference"
	"gimbal/inference/clip"
)

// check checks that the parts of the checkpoint belong together, which no part can see
// alone, and sets the tokenizer to what the experts read.
func (p *Pipeline) check() error {
	var errs []error
	expect := func(what string, found, want int, of string) {
		if found != want {
			errs = append(errs, fmt.Errorf("%s: found %d, expected %d, as %s: the parts are not of one checkpoint", what, found, want, of))
		}
	}
	g := inference.Wan
	expect("the VAE's pixels per latent pixel", p.vae.Stride(), g.Stride, "pictures are sized by")
	expect("the VAE's frames per latent frame", p.vae.StrideT(), g.FrameStride, "camera paths are cut by")
	if found, most := p.tokenizer.Size(), p.text.Vocab(); found > most {
		errs = append(errs, fmt.Errorf("the tokenizer's pieces: found %d, expected at most %d, as the text encoder embeds: the parts are not of one checkpoint", found, most))
	}
	for name, m := range p.experts {
		expect(name+": text_embedding.0.weight's columns", m.TextDim, p.text.Dim(), "the text encoder has channels")
		expect(name+": out_dim", m.Config.OutDim, p.vae.Channels(), "the VAE's latent has channels")
		expect(name+": in_dim", m.Config.InDim, 2*p.vae.Channels()+p.vae.StrideT(), "latent, picture and mask have channels together")
		if m.CameraChannels != 0 && m.CameraChannels != clip.ActChannels {
			expect(name+": camera channels", m.CameraChannels, clip.CameraChannels, "camera rays have")
		}
		if first := p.controlChannels(); m.CameraChannels != 0 && first != 0 {
			expect(name+": camera channels", m.CameraChannels, first, "the other expert reads")
		}
		expect(name+": patch rows and columns", m.Patch[1]*m.Patch[2], g.Patch*g.Patch, "pictures are sized by")
		expect(name+": patch frames", m.Patch[0], 1, "videos have any number of latent frames")
		p.tokenizer.MaxLen = min(p.tokenizer.MaxLen, m.Config.TextLen)
	}
	return errors.Join(errs...)
}
