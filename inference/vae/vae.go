package vae

import (
	"context"
	"fmt"

	"gimbal/inference/device"
	"gimbal/inference/weights"
)

// VAE is a loaded VAE. Its methods may be called from several goroutines.
type VAE struct {
	Statistics

	dev              device.Device
	loader           *weights.Loader
	encoder, decoder []layer
	channels         int // of a latent
	stride, strideT  int // pixels and frames per latent pixel and frame
}

// Load finds the VAE in store and puts its weights on dev. All sizes follow from
// the tensors' names and shapes. Convolution weights are mapped, not copied, so
// store must stay open until Close. The error names every tensor that is missing
// or misshapen, and says if stats are for another number of channels.
func Load(ctx context.Context, dev device.Device, store *weights.Store, stats Statistics) (*VAE, error) {
	v := &VAE{Statistics: stats, dev: dev}
	err := v.load(ctx, store)
	if err == nil {
		err = stats.check(v.channels, store.Path())
	}
	if err != nil {
		v.Close()
		return nil, fmt.Errorf("vae: %w", err)
	}
	return v, nil
}

// Close gives the weights' buffers back. Nothing may be encoding or decoding.
func (v *VAE) Close() { v.loader.Release() }

// Channels returns the number of channels of a latent, z.
func (v *VAE) Channels() int { return v.channels }

// Stride returns the pixels, in each direction, that one pixel of a latent stands for.
func (v *VAE) Stride() int { return v.stride }

// StrideT returns the frames that one frame of a latent stands for; the first
// frame of a latent stands for a single one.
func (v *VAE) StrideT() int { return v.strideT }

// Frames returns the number of frames that a latent of f frames stands for.
func (v *VAE) Frames(f int) int { return (f-1)*v.strideT + 1 }
