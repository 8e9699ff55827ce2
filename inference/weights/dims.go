package weights

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gimbal/inference/device"
)

// Dims are the sizes of a made-up model. The rest is as in LingBot-World: its name, types
// and shapes without data are enough to plan what is not here.
type Dims struct {
	Dim    int `json:"dim"`    // channels of an expert's residual stream
	FFN    int `json:"ffn"`    // channels of its feed-forward's hidden layer
	Heads  int `json:"heads"`  // heads of its attentions
	Layers int `json:"layers"` // its transformer blocks
	VAE    int `json:"vae"`    // channels of the VAE's first level
	Text   int `json:"text"`   // channels of the text encoder

	Causal bool `json:"causal,omitempty"` // one transformer in place of two experts
	Keys   bool `json:"keys,omitempty"`   // it is told keys, as act models are
	Plain  bool `json:"plain,omitempty"`  // it has no camera branch, as Wan2.2 has none
}

// LingBotWorld and LingBotWorldSmall are the real models', of 14 and 1.3 billion weights.
var (
	LingBotWorld      = Dims{Dim: 5120, FFN: 13824, Heads: 40, Layers: 40, VAE: 96, Text: 4096}
	LingBotWorldSmall = Dims{Dim: 1536, FFN: 8960, Heads: 12, Layers: 30, VAE: 96, Text: 4096}
)

// ForKeys returns the sizes of an act model.
func (d Dims) ForKeys() Dims {
	d.Keys = true
	return d
}

// WithoutCamera returns the sizes of a model that has no camera branch.
func (d Dims) WithoutCamera() Dims {
	d.Plain = true
	return d
}

// ReadSizes sets sizes by their names from text such as "real,layers=2"; the word real
// stands for what they are. The first word that is not understood comes back, and false.
func ReadSizes(text string, sizes map[string]*int) (word string, ok bool) {
	for word := range strings.SplitSeq(text, ",") {
		word = strings.TrimSpace(word)
		if word == "real" {
			continue
		}
		name, value, _ := strings.Cut(word, "=")
		n, err := strconv.Atoi(value)
		if sizes[name] == nil || err != nil || n < 1 || n > 1<<16 {
			return word, false
		}
		*sizes[name] = n
	}
	return "", true
}

// CheckHeads checks that heads divide channels into pairs, which are rotated.
func CheckHeads(dim, heads int) error {
	if dim%(2*heads) != 0 {
		return fmt.Errorf("dim=%d, want a multiple of twice heads=%d", dim, heads)
	}
	return nil
}

const (
	latentChannels = 16
	cameraChannels = 6 * 8 * 8 // Plücker coordinates of the pixels of a latent position
	keyChannels    = 7 * 8 * 8 // their directions, and four keys
)

// ExpertSizes returns all sizes of an expert.
func (d Dims) ExpertSizes() WanSizes {
	control := cameraChannels
	switch {
	case d.Plain:
		control = 0
	case d.Keys:
		control = keyChannels
	}
	return WanSizes{
		Config: WanConfig{
			Dim: d.Dim, FFNDim: d.FFN, FreqDim: 256, InDim: 2*latentChannels + 4, OutDim: latentChannels, // latent, picture and mask
			NumHeads: d.Heads, NumLayers: d.Layers, TextLen: 512, Eps: 1e-6,
		},
		TextDim: d.Text, Patch: [3]int{1, 2, 2}, Camera: !d.Plain, CameraChannels: control,
	}
}

// TextSizes returns all sizes of a text encoder.
func (d Dims) TextSizes() UMT5Sizes {
	return UMT5Sizes{Vocab: 256384, Dim: d.Text, AttnDim: d.Text, FFNDim: d.Text * 5 / 2, Buckets: 32, Heads: 64, Layers: 24}
}

// VAESizes returns the layers of a VAE: four levels of two residual blocks, three in
// the decoder, and between them a change of size, of the outermost in space only.
func (d Dims) VAESizes() VAESizes {
	levels := []int{d.VAE, 2 * d.VAE, 4 * d.VAE, 4 * d.VAE}
	top := levels[3]
	middle := vaeSection{name: "middle", layers: []VAELayer{residual(top), {Kind: VAEAttention}, residual(top)}}
	down, up := vaeSection{name: "downsamples"}, vaeSection{name: "upsamples"}
	for level, c := range levels {
		down.layers = append(down.layers, residual(c), residual(c))
		if level < 3 {
			down.layers = append(down.layers, VAELayer{Kind: VAEDownsample, Out: c, Time: level > 0})
		}
	}
	for level, c := range slices.Backward(levels) {
		up.layers = append(up.layers, residual(c), residual(c), residual(c))
		if level > 0 {
			up.layers = append(up.layers, VAELayer{Kind: VAEUpsample, Out: c / 2, Time: level > 1})
		}
	}
	return vaeSizes(latentChannels,
		vaeHalf("encoder", 3, d.VAE, 2*latentChannels, down, middle),
		vaeHalf("decoder", latentChannels, top, 3, middle, up))
}

func residual(out int) VAELayer { return VAELayer{Kind: VAEResidual, Mid: out, Out: out} }

// DryExpert, DryText and DryVAE return the parts without data, of the types that the
// real model has.
func (d Dims) DryExpert() Expert {
	z := d.ExpertSizes()
	return Expert{OfShapes("made-up expert", z.Table().Tensors(device.BF16)), z.Config}
}

func (d Dims) DryText() *Store {
	return OfShapes("made-up text encoder", d.TextSizes().Table().Tensors(device.BF16))
}

func (d Dims) DryVAE() *Store {
	return OfShapes("made-up VAE", d.VAESizes().Table().Tensors(device.F32))
}
