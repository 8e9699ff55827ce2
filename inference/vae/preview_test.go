package vae_test

import (
	"image/color"
	"testing"

	"gimbal/inference/vae"
)

func TestPreview(t *testing.T) {
	stats := vae.Statistics{
		RGB: vae.Colours{Factors: [][3]float32{{0.5, 0, 0}, {0, 1, 0}, {0.25, 0, 4}}, Bias: [3]float32{0, 0.2, -1}},
	}
	const f, h, w = 2, 1, 2
	latent := []float32{ // [3, f, h, w]
		9, 9, 1, 0,
		9, 9, 0.4, -2,
		9, 9, 1, 0,
	}
	img := stats.Preview(latent, f, h, w, 1)
	if size := img.Bounds().Size(); size.X != w || size.Y != h {
		t.Fatalf("a picture of %v, want %dx%d", size, w, h)
	}
	for x, want := range []color.RGBA{{223, 204, 255, 255}, {128, 0, 0, 255}} { // 0.75, 0.6, 3; 0, -1.8, -1
		if got := img.At(x, 0); got != want {
			t.Errorf("pixel %d is %v, want %v", x, got, want)
		}
	}
	stats.FirstRGB = vae.Colours{Factors: [][3]float32{{0, 0, 0}, {0, 0, 0}, {0, 0, 0}}, Bias: [3]float32{1, -1, 0}}
	if got := stats.Preview(latent, f, h, w, 0).At(1, 0); got != (color.RGBA{255, 0, 128, 255}) {
		t.Errorf("the first frame is %v, want its own colours", got)
	}
	if got := stats.Preview(latent, f, h, w, 1).At(1, 0); got != img.At(1, 0) {
		t.Errorf("the second frame is %v with colours for the first, %v without", got, img.At(1, 0))
	}
	if img := (vae.Statistics{}).Preview(latent, f, h, w, 1); img != nil {
		t.Errorf("statistics without factors give %v, want no picture", img)
	}
}

// TestPreviewWan checks the colours of Wan 2.1's factors for plausibility: a mean
// latent is a dark grey, and light and dark lie within reach in every colour.
func TestPreviewWan(t *testing.T) {
	stats := vae.WanStatistics()
	latent := make([]float32, len(stats.RGB.Factors))
	paint := func(sign float32) color.RGBA {
		for z, factors := range stats.RGB.Factors {
			latent[z] = 0
			if sum := factors[0] + factors[1] + factors[2]; sum*sign > 0 {
				latent[z] = 1.5
			} else if sign != 0 {
				latent[z] = -1.5
			}
		}
		return stats.Preview(latent, 1, 1, 1, 0).At(0, 0).(color.RGBA)
	}
	within := func(what string, c color.RGBA, low, high uint8) {
		for _, v := range []uint8{c.R, c.G, c.B} {
			if v < low || v > high {
				t.Errorf("%s is %v, want colours from %d to %d", what, c, low, high)
			}
		}
	}
	within("the mean latent", paint(0), 70, 130)
	within("a bright latent", paint(1), 240, 255)
	within("a dark latent", paint(-1), 0, 15)
}
