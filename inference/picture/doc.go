// Package picture reads a user's picture and turns it into the first frame that the
// model starts from: PNG, JPEG, WebP, BMP, TIFF or GIF, upright, without alpha, resized
// as the reference does.
//
// Files are not trusted: sizes are checked in the header before anything is decoded,
// and an error names the file, what was found and what was expected. Colours follow
// libjpeg and libwebp, through which the reference reads, where Go's decoders leave
// them to the caller.
package picture
