package vae

import (
	"context"
	"errors"
	"fmt"

	"gimbal/inference/weights"
)

// maxScale keeps the sizes of pictures within reason.
const maxScale = 1 << 10

// scale is how much layers change the size of pictures and the number of frames.
type scale struct{ space, time int }

// load puts the layers of the VAE in store on the device.
func (v *VAE) load(ctx context.Context, store *weights.Store) error {
	sizes, bad := weights.ReadVAESizes(store)
	v.loader = weights.NewLoader(v.dev, store, sizes.Table())
	l := loader{v.loader}
	encoder, down := l.layers(ctx, sizes.Encoder)
	decoder, up := l.layers(ctx, sizes.Decoder)
	fault := func(field, found, want string) error {
		return &weights.Error{Path: store.Path(), Field: field, Found: found, Want: want}
	}
	if max(down.space, down.time) > maxScale {
		bad = errors.Join(bad, fault("encoder.downsamples", "too many layers that reduce", fmt.Sprintf("a reduction by at most %d", maxScale)))
	}
	if err := errors.Join(ctx.Err(), bad, l.Err()); err != nil {
		return err
	}
	if down != up {
		return fault("decoder.upsamples", fmt.Sprintf("pictures enlarged by %d and time by %d", up.space, up.time),
			fmt.Sprintf("%d and %d, as the encoder reduces them", down.space, down.time))
	}
	z := sizes.Channels
	mu := encoder[len(encoder)-1].(*pointwise).conv
	mu.out, mu.w.Out = z, z // the other half is the logarithm of the variance
	mu.w.Data, mu.bias = mu.w.Data.RowRange(0, z), mu.bias.ColRange(0, z)
	v.encoder, v.decoder, v.channels, v.stride, v.strideT = encoder, decoder, z, down.space, down.time
	return nil
}

// loader loads layers.
type loader struct{ *weights.Loader }

// layers loads the layers of an encoder or decoder and returns how much they change
// sizes; no number of them makes that overflow.
func (l loader) layers(ctx context.Context, sizes []weights.VAELayer) (layers []layer, by scale) {
	by = scale{1, 1}
	for _, s := range sizes {
		if ctx.Err() != nil {
			break
		}
		layers = append(layers, l.layer(s)...)
		if s.Kind == weights.VAEDownsample || s.Kind == weights.VAEUpsample {
			by.space = min(2*by.space, 2*maxScale)
			if s.Time {
				by.time = min(2*by.time, 2*maxScale)
			}
		}
	}
	return layers, by
}

func (l loader) layer(s weights.VAELayer) []layer {
	switch s.Kind {
	case weights.VAEPointwise:
		return []layer{&pointwise{s.Name, l.conv(s.Name)}}
	case weights.VAECausal:
		return []layer{&causal{name: s.Name, conv: l.conv(s.Name)}}
	case weights.VAEHead:
		norm := l.norm(s.Name + ".0.gamma")
		return []layer{&causal{name: s.Name, norm: &norm, conv: l.conv(s.Name + ".2")}}
	case weights.VAEResidual:
		r := &residual{
			name:  s.Name,
			norm1: l.norm(s.Name + ".residual.0.gamma"), conv1: l.conv(s.Name + ".residual.2"),
			norm2: l.norm(s.Name + ".residual.3.gamma"), conv2: l.conv(s.Name + ".residual.6"),
		}
		if s.Shortcut {
			r.shortcut = l.conv(s.Name + ".shortcut")
		}
		return []layer{r}
	case weights.VAEAttention:
		return []layer{&attention{s.Name, l.norm(s.Name + ".norm.gamma"), l.conv(s.Name + ".to_qkv"), l.conv(s.Name + ".proj")}}
	case weights.VAEDownsample:
		space := &spatialDownsample{s.Name + ".resample", l.conv(s.Name + ".resample.1")}
		if s.Time {
			return []layer{space, &temporalDownsample{s.Name + ".time_conv", l.conv(s.Name + ".time_conv")}}
		}
		return []layer{space}
	case weights.VAEUpsample:
		space := &spatialUpsample{s.Name + ".resample", l.conv(s.Name + ".resample.1")}
		if s.Time {
			return []layer{&temporalUpsample{s.Name + ".time_conv", l.conv(s.Name + ".time_conv")}, space}
		}
		return []layer{space}
	}
	return nil // the sizes' error says what it is
}

// conv loads a convolution with a kernel of two or three dimensions.
func (l loader) conv(name string) *conv {
	shape := l.Spec(name + ".weight").Shape
	n := len(shape)
	c := &conv{w: l.Weight(name + ".weight"), bias: l.Vector(name + ".bias"), out: shape[0], in: shape[1], kt: 1, kh: shape[n-2], kw: shape[n-1]}
	if n == 5 {
		c.kt = shape[2]
	}
	return c
}

// norm loads the gamma of a norm.
func (l loader) norm(name string) rmsNorm { return rmsNorm{l.Vector(name)} }
