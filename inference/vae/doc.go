// Package vae is Wan 2.1's causal video VAE: it turns pictures into latents and
// latents into pictures, on any device.
//
// Both ways are streams. A layer sees a few frames at a time and remembers the
// last two inputs of each of its convolutions in time (history.go), so memory
// does not grow with the length of the video, and the result does not depend on
// how many frames go through a layer at once.
//
// load.go puts the layers that a checkpoint has on a device, the other files say what it does:
// layers.go and resample.go hold one type per kind of layer, stream.go what is
// kept while frames pass through them, memory.go the buffers, tile.go how pictures that
// do not fit are cut. Channels of a
// picture on the device are the last dimension; on the host they are the first,
// as the reference has them.
package vae
