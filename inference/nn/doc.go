// Package nn is what the networks (wan, umt5, vae) share: the memory of a pass, Arena, and
// the layer that all of them are made of, Linear.
//
// All products with weights go through Linear.Record, so that what is to change them, such
// as the side path of a LoRA, has one place.
package nn
