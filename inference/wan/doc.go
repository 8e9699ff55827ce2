// Package wan is the diffusion transformer of LingBot-World, one expert of it:
// a Wan2.2 image-to-video DiT with a camera branch. It turns a noisy latent, a
// timestep, a text context, an image conditioning and a camera path into the
// flow's velocity.
//
// Load maps an expert's weights onto a device. NewSession prepares one clip:
// what depends on the prompt, the picture and the camera path alone is computed
// there, once, and Velocity runs the rest, one forward pass a call. Which parts
// are kept is Reuse; the numbers are the same either way.
//
// A tensor here is a matrix of tokens by channels on the device, F32. A latent
// of [c, f, h, w] makes f/pt * h/ph * w/pw tokens (pt, ph, pw is the patch), the
// width running fastest.
//
// The package knows the device only through inference/device, and weights only
// through inference/checkpoint. Field and file names follow the checkpoint's keys.
package wan
