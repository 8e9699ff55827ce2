package vae

import (
	"fmt"
	"math"
)

// Statistics normalises latents: a normalised value is (mu - Mean) / Std of its
// channel.
type Statistics struct {
	Mean, Std []float32
	// RGB approximates pixels by latents, for previews, and FirstRGB those of the
	// first latent frame, which holds one picture, not four, and which a VAE may
	// code in its own way. Both are optional; RGB stands in for FirstRGB.
	RGB, FirstRGB Colours
}

// Colours say how a latent looks: colour c in [-1, 1] is Bias[c] plus the sum over
// channels of the normalised value times Factors[channel][c].
type Colours struct {
	Factors [][3]float32
	Bias    [3]float32
}

// WanStatistics returns the statistics of Wan 2.1's VAE, whose latents have 16
// channels. Mean and deviation are those of the reference (Wan-Video/Wan2.1,
// wan/modules/vae.py); the colours are the linear fit of ComfyUI's latent preview
// (comfyanonymous/ComfyUI, comfy/latent_formats.py, Wan21).
func WanStatistics() Statistics {
	return Statistics{
		Mean: []float32{
			-0.7571, -0.7089, -0.9113, 0.1075, -0.1745, 0.9653, -0.1517, 1.5508,
			0.4134, -0.0715, 0.5517, -0.3632, -0.1922, -0.9497, 0.2503, -0.2921,
		},
		Std: []float32{
			2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743,
			3.2687, 2.1526, 2.8652, 1.5579, 1.6382, 1.1253, 2.8251, 1.9160,
		},
		RGB: Colours{Factors: [][3]float32{
			{-0.1299, -0.1692, 0.2932},
			{0.0671, 0.0406, 0.0442},
			{0.3568, 0.2548, 0.1747},
			{0.0372, 0.2344, 0.1420},
			{0.0313, 0.0189, -0.0328},
			{0.0296, -0.0956, -0.0665},
			{-0.3477, -0.4059, -0.2925},
			{0.0166, 0.1902, 0.1975},
			{-0.0412, 0.0267, -0.1364},
			{-0.1293, 0.0740, 0.1636},
			{0.0680, 0.3019, 0.1128},
			{0.0032, 0.0581, 0.0639},
			{-0.1251, 0.0927, 0.1699},
			{0.0060, -0.0633, 0.0005},
			{0.3477, 0.2275, 0.2950},
			{0.1984, 0.0913, 0.1861},
		}, Bias: [3]float32{-0.1835, -0.0868, -0.3360}},
	}
}

// check says what does not fit the VAE in the file path, with latents of z channels.
func (s Statistics) check(z int, path string) error {
	if len(s.Mean) != z || len(s.Std) != z {
		return fmt.Errorf("%s has latents of %d channels: found statistics with %d means and %d deviations, expected as many", path, z, len(s.Mean), len(s.Std))
	}
	for _, factors := range [][][3]float32{s.RGB.Factors, s.FirstRGB.Factors} {
		if factors != nil && len(factors) != z {
			return fmt.Errorf("%s has latents of %d channels: found statistics with RGB factors for %d, expected as many or none", path, z, len(factors))
		}
	}
	for i, std := range s.Std {
		if mean := s.Mean[i]; !(std > 0) || math.IsInf(float64(std), 0) || math.IsNaN(float64(mean)) || math.IsInf(float64(mean), 0) {
			return fmt.Errorf("statistics of latent channel %d: found mean %v and deviation %v, expected finite values and a deviation above 0", i, mean, std)
		}
	}
	return nil
}
