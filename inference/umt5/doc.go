// Package umt5 is the text encoder: the encoder half of UMT5 (T5 v1.1 with a
// relative position bias of its own in every layer; Raffel et al., "Exploring the
// Limits of Transfer Learning with a Unified Text-to-Text Transformer", 2020, and
// Chung et al., "UniMax", 2023). It turns the ids of a prompt into hidden states.
//
// It computes the tokens that there are. The reference pads to 512 and masks the
// padding out of the attention, which gives the same states.
package umt5
