// Package taehv is a small decoder for Wan 2.1's latents (TAEHV, github.com/madebyollin/taehv):
// about a twenty-fifth of the work of the VAE's, for pictures that are nearly as good.
//
// A latent frame, [h, w, z], goes through three levels of n channels, each twice as large as
// the one before:
//
//	first  conv3x3(3·tanh(latent/3)) → ReLU                  [h, w, 256]
//	level  three blocks, y = ReLU(x + conv(ReLU(conv(ReLU(conv([x, x of the frame before]))))))
//	       for every frame that the level makes of one (1, 2 and 2):
//	       pointwise → twice as large → conv3x3               [2h, 2w, 128], [4h, 4w, 64], [8h, 8w, 64]
//	last   ReLU → conv3x3 → a picture, 0 to 1                 [8h, 8w, 3]
//
// So a latent frame makes four pictures, of which the first of a video lacks three: those are
// left out, and a latent of f frames is a video of 4f-3, as with the VAE. Frames go through
// one after the other, and all that is remembered of those before is one input of each block,
// so that memory does not grow with the length.
//
// taew2_1 reads the normalised latent, lighttaew2_1 of LightX2V that of the VAE; the file's
// name says which, or else its type, as in ComfyUI.
package taehv
