// Package jpeg decodes JPEG pictures to the very pixels that libjpeg-turbo gives with its
// defaults, which is what the reference reads through PIL: the accurate integer inverse
// transform, chroma that is interpolated where one sample stands for two pixels. Go's
// image/jpeg differs by up to two and a half levels.
//
// It reads sequential and progressive frames of 8 bits, Huffman or arithmetic coded, of one,
// three or four components in any sampling. Where a progressive file ends early it estimates
// the rest as libjpeg-turbo does. Source: ITU-T T.81.
package jpeg
