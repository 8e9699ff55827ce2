// Package picture reads a user's picture and turns it into the first frame that the
// model starts from: upright, without alpha, resized as the reference does. A table of
// formats says what is read: PNG, JPEG, WebP, TIFF, GIF, BMP, Netpbm's, TGA and icons.
//
// Files are not trusted: sizes are checked in the header before anything is decoded,
// and an error names the file, what was found and what was expected. A picture that is
// whole but of a kind that is not read is an UnreadError, never called damaged. Pixels
// are those of libjpeg-turbo and libwebp, through which the reference reads, and so they
// stay where the file says nothing of its colours or that they are sRGB; others, by an ICC
// profile, PNG's chunks or EXIF, are turned into sRGB (colour.go).
//
// What is right is in testdata: small files of every kind and, by PIL and tifffile or by
// construction, their pixels.
package picture
