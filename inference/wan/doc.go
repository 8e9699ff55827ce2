// Package wan is the diffusion transformer of LingBot-World, one expert of it: a Wan2.2
// image-to-video DiT with a camera branch. It turns a noisy latent, a timestep, a text
// context, an image conditioning and a camera path into the flow's velocity.
//
// Load maps an expert's weights onto a device. NewSession prepares one clip and computes what
// depends on prompt, picture and camera path alone. Velocity is one forward pass. On a dry
// device the same calls, without data, tell what they would take.
//
// A causal session, Input.Cache, goes through a video chunk by chunk: Chunk begins one,
// Velocity is a forward of its tokens only, and Remember leaves the finished chunk's keys and
// values for the chunks after it.
//
// # The forward
//
// n tokens are the patches of a latent [c, f, h, w], p positions each (1x2x2), the width
// running fastest; d is dim. All matrices are rows of tokens by columns of channels, F32 but
// where it says otherwise; layers, x·Wᵀ + bias, have their names of the checkpoint. At the
// real sizes n is 17160 (41 frames of 480x832), d 5120, ffn 13824, with 40 heads of 128 and 40 blocks.
//
// Once per session, in NewSession:
//
//	patches    [n, in_dim*p]     mask and picture in its last columns           session.go, patch.go
//	cos, sin   [n, head/2]       angles by frame, row and column                rope.go
//	text       [r, text_dim]     r = 512, or (1) the real tokens and one row    text.go
//	           [r, d]            text_embedding.2(GELU(text_embedding.0(text)))
//	  per block (2):
//	           [r, d]            k = RMSNorm(cross_attn.k(text)), v = cross_attn.v(text)
//	rays       [n, 6*64*p]       Plücker coordinates                            camera.go
//	signal     [n, d]            e = patch_embedding_wancamctrl(rays)
//	                             e + c2ws_layer2(SiLU(c2ws_layer1(e)))
//	  per block (3):
//	           [n, d]            s = signal + cam_injector_layer2(SiLU(cam_injector_layer1(signal)))
//	           [n, d]            camera scale = cam_scale_layer(s), camera shift = cam_shift_layer(s)
//
// Per forward, in Velocity:
//
//	patches    [n, in_dim*p]     the latent in its first columns                session.go, patch.go
//	x          [n, d]            patch_embedding(patches): the residual stream
//	e          [1, d]            time_embedding.2(SiLU(time_embedding.0(cosines, sines of t)))
//	e6         [1, 6*d]          time_projection.1(SiLU(e)); (4)                modulation.go
//
//	per block, one submission of the device:                                    block.go
//	  shift1, scale1, gate1, shift2, scale2, gate2 = e6 + modulation            [1, 6*d]
//	  h = LayerNorm(x) * (1+scale1) + shift1                                    [n, d] (5)
//	  q, k = rope(RMSNorm(self_attn.q(h))), rope(RMSNorm(self_attn.k(h)))       [n, d] (6)
//	  v = self_attn.v(h)                                                        [n, d]
//	  x = x + gate1 * self_attn.o(attention(q, k, v))
//	  x = x * (1 + camera scale) + camera shift
//	  h = LayerNorm(x) * norm3.weight + norm3.bias                              [n, d] (5)
//	  q = RMSNorm(cross_attn.q(h)); k and v are the text's                      [n, d], [r, d] (6)
//	  x = x + cross_attn.o(attention(q, k, v))
//	  h = LayerNorm(x) * (1+scale2) + shift2                                    [n, d] (5)
//	  x = x + gate2 * ffn.2(GELU(ffn.0(h)))                                     [n, ffn] (5)
//
//	shift, scale = e + head.modulation                                          [1, 2*d]
//	out        [n, out_dim*p]    head.head(LayerNorm(x) * (1+scale) + shift)
//	velocity   [out_dim, f, h, w]                                               patch.go
//
// Where the reference computes the same again, and Reuse does not:
//
//	(1) Padding: all rows of padding are equal, so that one stands for them, with the
//	    logarithm of their number as its bias.
//	(2) CrossAttention: keys and values of the text are kept for every block and context.
//	(3) Camera: scales and shifts are kept, of as many blocks as the device has memory for.
//	(4) Time: all tokens have one timestep; without it these matrices have n rows.
//
// What is cast, where the device can use it: (5) the inputs of products, to the type that the
// device multiplies in, with the same bits as a result, queries, keys and values of a whole video's
// self-attention among them; (6) queries, keys and values, to Input.AttentionType.
//
// In a causal session n are the tokens of a chunk; angles are those of its frames in the whole
// video. A block writes k and v to its cache [cache tokens, d], of Input.AttentionType, in
// place of the frames that the window forgets (cache.go), and q attends to all of it. The
// camera's scales and shifts are computed once a chunk, the embeddings of Cache.Times once a
// session, and the text's keys and values once for a prompt.
//
// With Input.Residuals, a forward ends with residual [n, d] = x - patch_embedding(patches), and
// Skip is a forward of x = patch_embedding(patches) + residual and the head alone: residuals.go.
//
// Beside x and h the blocks share one workspace of n*max(3*d, ffn) values: q, k and v, or the
// feed-forward's hidden layer.
//
// # What to change for what
//
//	another name or shape of a tensor             weights.go, config.go
//	another layer, a side path such as LoRA's     package nn, Linear.Record
//	another way to condition on time              modulation.go
//	another control than a camera path            camera.go, as its neighbour, and inject
//	what a causal session remembers               cache.go; causal.go
//	another position embedding                    rope.go
//	what is kept between forwards                 input.go, Reuse; text.go and camera.go, precompute
//
// The package knows the device only through inference/device, and weights only through
// inference/weights. Field and file names follow the checkpoint's keys.
package wan
