// Package vae is Wan 2.1's causal video VAE: it turns pictures into latents and
// latents into pictures, on any device.
//
// Both ways are streams. A layer sees a few frames at a time and remembers the
// last two inputs of each of its convolutions in time (cache.go), so memory
// does not grow with the length of the video, and the result does not depend on
// how many frames go through a layer at once.
//
// For T frames of H x W pixels, with c 96 and z 16 at the real sizes, where residual is a
// pair of causal convolutions of 3x3x3 with RMS norms and SiLU before them:
//
//	encoder  pixels [T, H, W, 3] → causal [T, H, W, c]
//	         → residual, residual, spatial downsample [T, H/2, W/2, c]
//	         → residual, residual, spatial and temporal downsample [T/2, H/4, W/4, 2c]
//	         → residual, residual, spatial and temporal downsample [T/4, H/8, W/8, 4c]
//	         → residual, residual, residual, attention, residual
//	         → causal, pointwise [T/4, H/8, W/8, z], normalised by the statistics
//	decoder  the same backwards, with temporal and spatial upsampling and one residual more
//	         at each level
//
// where T/2 and T/4 leave the first frame on its own: 1 + 4n frames become 1 + n.
//
// load.go puts the layers that a checkpoint has on a device, the other files say what it does:
// layers.go and resample.go hold one type per kind of layer, stream.go sends frames through
// them and takes outputs again while nothing changes, cache.go is the causal feature cache,
// pool.go the buffers, encode.go and decode.go the two directions, tile.go how pictures that
// do not fit are cut. Channels of a picture on the device are the last dimension; on the host
// they are the first, as the reference has them.
package vae
