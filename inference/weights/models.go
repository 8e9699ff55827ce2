package weights

import (
	"fmt"
	"slices"

	"gimbal/inference/device"
)

// Dims are the sizes that tell such models apart. The rest is as in LingBot-World.
type Dims struct {
	Dim    int `json:"dim"`    // channels of an expert's residual stream
	FFN    int `json:"ffn"`    // channels of its feed-forward's hidden layer
	Heads  int `json:"heads"`  // heads of its attentions
	Layers int `json:"layers"` // its transformer blocks
	VAE    int `json:"vae"`    // channels of the VAE's first level
	Text   int `json:"text"`   // channels of the text encoder
}

// LingBotWorld are LingBot-World's.
var LingBotWorld = Dims{Dim: 5120, FFN: 13824, Heads: 40, Layers: 40, VAE: 96, Text: 4096}

// PatchVolume is how many positions of a latent make a token.
const PatchVolume = 1 * 2 * 2

// Sizes that Dims leave as they are in LingBot-World.
const (
	freqDim = 256
	outDim  = 16           // channels of a latent
	inDim   = 2*outDim + 4 // latent, picture and mask

	cameraChannels = 6 * 8 * 8 // Plücker coordinates of the pixels of a latent position
	textLen        = 512       // tokens

	textLayers, textHeads, textBuckets, vocabulary = 24, 64, 32, 256384
	levelBlocks                                    = 2 // residual blocks of a level of the VAE's encoder
)

// ExpertTensors returns an expert's config.json and its tensors, with a camera branch.
func ExpertTensors(d Dims) (WanConfig, []Tensor) {
	l := list{dtype: device.BF16}
	dim := d.Dim
	l.add("patch_embedding.weight", dim, inDim, 1, 2, 2)
	l.add("patch_embedding.bias", dim)
	l.linear("patch_embedding_wancamctrl", dim, cameraChannels*PatchVolume)
	l.linear("c2ws_hidden_states_layer1", dim, dim)
	l.linear("c2ws_hidden_states_layer2", dim, dim)
	l.linear("text_embedding.0", dim, d.Text)
	l.linear("text_embedding.2", dim, dim)
	l.linear("time_embedding.0", dim, freqDim)
	l.linear("time_embedding.2", dim, dim)
	l.linear("time_projection.1", 6*dim, dim)
	l.linear("head.head", outDim*PatchVolume, dim)
	l.add("head.modulation", 1, 2, dim)
	for i := range d.Layers {
		l.block(fmt.Sprintf("blocks.%d.", i), d)
	}
	return WanConfig{
		Dim: dim, FFNDim: d.FFN, FreqDim: freqDim, InDim: inDim, OutDim: outDim,
		NumHeads: d.Heads, NumLayers: d.Layers, TextLen: textLen, Eps: 1e-6,
	}, l.tensors
}

func (l *list) block(name string, d Dims) {
	for _, layer := range []string{
		"self_attn.q", "self_attn.k", "self_attn.v", "self_attn.o", "cross_attn.q", "cross_attn.k", "cross_attn.v", "cross_attn.o",
		"cam_injector_layer1", "cam_injector_layer2", "cam_scale_layer", "cam_shift_layer",
	} {
		l.linear(name+layer, d.Dim, d.Dim)
	}
	for _, row := range []string{
		"self_attn.norm_q.weight", "self_attn.norm_k.weight", "cross_attn.norm_q.weight", "cross_attn.norm_k.weight",
		"norm3.weight", "norm3.bias",
	} {
		l.add(name+row, d.Dim)
	}
	l.add(name+"modulation", 1, 6, d.Dim)
	l.linear(name+"ffn.0", d.FFN, d.Dim)
	l.linear(name+"ffn.2", d.Dim, d.FFN)
}

// TextTensors returns the tensors of a text encoder.
func TextTensors(d Dims) []Tensor {
	l := list{dtype: device.BF16}
	dim, ffn := d.Text, d.Text*5/2
	l.add("token_embedding.weight", vocabulary, dim)
	l.add("norm.weight", dim)
	for i := range textLayers {
		name := fmt.Sprintf("blocks.%d.", i)
		l.add(name+"norm1.weight", dim)
		l.add(name+"norm2.weight", dim)
		for _, layer := range []string{"q", "k", "v", "o"} {
			l.add(name+"attn."+layer+".weight", dim, dim)
		}
		l.add(name+"ffn.gate.0.weight", ffn, dim)
		l.add(name+"ffn.fc1.weight", ffn, dim)
		l.add(name+"ffn.fc2.weight", dim, ffn)
		l.add(name+"pos_embedding.embedding.weight", textBuckets, textHeads)
	}
	return l.tensors
}

// VAETensors returns the tensors of a VAE.
func VAETensors(d Dims) []Tensor {
	dims := []int{d.VAE, 2 * d.VAE, 4 * d.VAE, 4 * d.VAE}
	inTime := []bool{false, true, true} // which reductions reduce time too
	l := list{dtype: device.F32, section: "encoder.downsamples."}
	l.conv("encoder.conv1", d.VAE, 3, 3, 3, 3)
	c := d.VAE
	for level, out := range dims {
		for range levelBlocks {
			c = l.residual(l.next(), c, out)
		}
		if level < len(inTime) {
			l.resample(c, c, c, inTime[level])
		}
	}
	l.ends("encoder", c, c, 2*outDim)
	l.conv("conv1", 2*outDim, 2*outDim, 1, 1, 1)
	l.conv("conv2", outDim, outDim, 1, 1, 1)

	l.section, l.layers = "decoder.upsamples.", 0
	l.conv("decoder.conv1", c, outDim, 3, 3, 3)
	slices.Reverse(dims)
	slices.Reverse(inTime)
	for level, out := range dims {
		for range levelBlocks + 1 {
			c = l.residual(l.next(), c, out)
		}
		if level < len(inTime) {
			l.resample(c/2, c, 2*c, inTime[level])
			c /= 2
		}
	}
	l.ends("decoder", dims[0], c, 3)
	return l.tensors
}

// list collects tensors of a type.
type list struct {
	dtype   device.DType
	tensors []Tensor
	section string // of the layers that next names
	layers  int
}

func (l *list) add(name string, shape ...int) {
	l.tensors = append(l.tensors, Tensor{Name: name, DType: l.dtype, Shape: shape})
}

func (l *list) linear(name string, out, in int) {
	l.add(name+".weight", out, in)
	l.add(name+".bias", out)
}

func (l *list) next() string {
	l.layers++
	return fmt.Sprint(l.section, l.layers-1)
}

func (l *list) conv(name string, out, in int, kernel ...int) {
	l.add(name+".weight", append([]int{out, in}, kernel...)...)
	l.add(name+".bias", out)
}

func (l *list) residual(name string, in, out int) int {
	l.add(name+".residual.0.gamma", in, 1, 1, 1)
	l.conv(name+".residual.2", out, in, 3, 3, 3)
	l.add(name+".residual.3.gamma", out, 1, 1, 1)
	l.conv(name+".residual.6", out, out, 3, 3, 3)
	if in != out {
		l.conv(name+".shortcut", out, in, 1, 1, 1)
	}
	return out
}

// resample adds a change of size from c channels to out, in space, and, with time,
// in time through a convolution to stretched channels.
func (l *list) resample(out, c, stretched int, time bool) {
	name := l.next()
	l.conv(name+".resample.1", out, c, 3, 3)
	if time {
		l.conv(name+".time_conv", stretched, c, 3, 1, 1)
	}
}

// ends adds the middle, of c channels, and the head, from last channels to out.
func (l *list) ends(half string, c, last, out int) {
	middle := half + ".middle."
	l.residual(middle+"0", c, c)
	l.add(middle+"1.norm.gamma", c, 1, 1)
	l.conv(middle+"1.to_qkv", 3*c, c, 1, 1)
	l.conv(middle+"1.proj", c, c, 1, 1)
	l.residual(middle+"2", c, c)
	l.add(half+".head.0.gamma", last, 1, 1, 1)
	l.conv(half+".head.2", out, last, 3, 3, 3)
}
