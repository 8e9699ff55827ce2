// Package openh264 calls Cisco's H.264 encoder and decoder, version 2.1.1.
//
// The library itself is the static one that github.com/pion/mediadevices brings
// for every system, so there is nothing to install; that module's own encoder
// leaves no choice of a constant quality, of constant parameter sets and of the
// colours to name in them, and writes warnings to standard error. Here is a
// thin layer instead, and nothing else: bridge.h and the two Go files may be
// touched, the codec_*.h files and LICENSE are openh264's own, unchanged.
package openh264
