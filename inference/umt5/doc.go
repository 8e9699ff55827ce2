// Package umt5 is the text encoder: the encoder half of UMT5 (T5 v1.1 with a
// relative position bias of its own in every layer; Raffel et al., "Exploring the
// Limits of Transfer Learning with a Unified Text-to-Text Transformer", 2020, and
// Chung et al., "UniMax", 2023). It turns the ids of a prompt into hidden states.
//
// It computes the tokens that there are. The reference pads to 512 and masks the
// padding out of the attention, which gives the same states.
//
// For n tokens, with dim 4096, attn 4096 in 64 heads, ffn 10240 and 24 blocks at the real
// sizes (load.go finds the sizes and tensors, encode.go is this page, position.go the
// buckets of distances):
//
//	x = token_embedding[ids]                                        [n, dim]
//	per block:
//	  bias = pos_embedding[buckets of the distances], by head       [heads, 2n-1]
//	  h = RMSNorm(x) * norm1                                        [n, dim]
//	  x = x + o(attention(q(h), k(h), v(h), bias)), without a scale [n, attn]
//	  h = RMSNorm(x) * norm2                                        [n, dim]
//	  x = x + fc2(fc1(h) * GELU(gate(h)))                           [n, ffn]
//	states = RMSNorm(x) * norm                                      [n, dim]
package umt5
