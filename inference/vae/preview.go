package vae

import (
	"fmt"
	"image"
)

// Preview returns a picture, w x h, of frame number frame of the normalised latent
// [z, f, h, w], approximated by the statistics' colours; nil if there are none.
func (s Statistics) Preview(latent []float32, f, h, w, frame int) image.Image {
	return s.PreviewPart(latent, f, h, w, frame, frame == 0)
}

// PreviewPart is Preview of a part of a video's latent; first says whether the frame is the
// video's first.
func (s Statistics) PreviewPart(latent []float32, f, h, w, frame int, first bool) image.Image {
	look := s.RGB
	if first && s.FirstRGB.Factors != nil {
		look = s.FirstRGB
	}
	if look.Factors == nil {
		return nil
	}
	plane := h * w
	if len(latent) != len(look.Factors)*f*plane || frame < 0 || frame >= f {
		panic(fmt.Sprintf("vae: preview of frame %d of a latent [%d %d %d %d] with %d values", frame, len(look.Factors), f, h, w, len(latent)))
	}
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for i := range plane {
		rgb := look.Bias
		for z, factors := range look.Factors {
			v := latent[(z*f+frame)*plane+i]
			for c := range rgb {
				rgb[c] += v * factors[c]
			}
		}
		for c, v := range rgb {
			img.Pix[4*i+c] = uint8(255*min(max((v+1)/2, 0), 1) + 0.5)
		}
		img.Pix[4*i+3] = 255
	}
	return img
}
