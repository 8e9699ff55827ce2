// Package tiff decodes TIFF pictures: classic and BigTIFF, strips and tiles, planes
// together or apart, from 1 to 64 bits a sample, integers and floating point; gray, palette,
// RGB, CMYK, YCbCr and CIE L*a*b*; not packed, PackBits, LZW, Deflate, Zstandard, JPEG, WebP
// and the fax codes of CCITT. Of a file with several pictures it decodes the first.
//
// It also reads the directories of tags that EXIF shares with TIFF. Source: TIFF 6.0 and its
// technical notes.
package tiff
