package bench

import (
	"fmt"
	"strings"

	"gimbal/inference"
	"gimbal/inference/weights"
)

// Dims are the sizes of a synthetic model and of the clip that it makes.
type Dims struct {
	Dim    int `json:"dim"`    // channels of the residual stream
	FFN    int `json:"ffn"`    // channels of the feed-forward's hidden layer
	Heads  int `json:"heads"`  // heads of an attention
	Layers int `json:"layers"` // transformer blocks
	VAE    int `json:"vae"`    // channels of the VAE's first level
	Frames int `json:"frames"` // of the clip, 4n+1
	Height int `json:"height"` // pixels
	Width  int `json:"width"`  // pixels
}

// Real has LingBot-World's own sizes but for the number of its layers: one of 40.
var Real = Dims{Dim: 5120, FFN: 13824, Heads: 40, Layers: 1, VAE: 96, Frames: 5, Height: 480, Width: 832}

// realLayers is the number of LingBot-World's layers.
const realLayers = 40

// Grammar says how ParseDims reads text.
const Grammar = "NAME=NUMBER, 1 to 65536, separated by commas, of dim, ffn, heads, layers, vae, frames, height and width; " +
	"what is left out, and the word real, stand for the real model's sizes, one layer of it and 5 frames of 480x832"

// field is one size by its name.
type field struct {
	name string
	at   *int
}

func (d *Dims) fields() []field {
	return []field{
		{"dim", &d.Dim}, {"ffn", &d.FFN}, {"heads", &d.Heads}, {"layers", &d.Layers},
		{"vae", &d.VAE}, {"frames", &d.Frames}, {"height", &d.Height}, {"width", &d.Width},
	}
}

// ParseDims reads sizes such as "real,layers=2" or "dim=256,ffn=768,heads=4".
func ParseDims(text string) (Dims, error) {
	d := Real
	sizes := map[string]*int{}
	for _, f := range d.fields() {
		sizes[f.name] = f.at
	}
	if word, ok := weights.ReadSizes(text, sizes); !ok {
		return Dims{}, fmt.Errorf("%q, want %s", word, Grammar)
	}
	return d, d.check()
}

func (d Dims) check() error {
	if err := weights.CheckHeads(d.Dim, d.Heads); err != nil {
		return err
	}
	if d.Height%16 != 0 || d.Width%16 != 0 {
		return fmt.Errorf("height=%d,width=%d, want multiples of 16", d.Height, d.Width)
	}
	return inference.CheckFrames(d.Frames)
}

// String writes d so that ParseDims reads it.
func (d Dims) String() string {
	var words []string
	for _, f := range d.fields() {
		words = append(words, fmt.Sprintf("%s=%d", f.name, *f.at))
	}
	return strings.Join(words, ",")
}

// part reports whether d is part of the real model: its sizes and fewer layers.
func (d *Dims) part() bool {
	return d != nil && d.Dim == Real.Dim && d.FFN == Real.FFN && d.Heads == Real.Heads && d.Layers < realLayers
}
