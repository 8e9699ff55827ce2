package picture

import (
	"image"
	"regexp"

	"gimbal/inference/picture/tiff"
)

// orient returns the picture upright. o is the EXIF orientation, 1 to 8: which edges of
// the scene the first row and the first column are.
func orient(src *image.RGBA, o int) *image.RGBA {
	if o == 1 {
		return src
	}
	w, h := src.Rect.Dx(), src.Rect.Dy()
	bounds := src.Rect
	if o >= 5 {
		bounds = image.Rect(0, 0, h, w)
	}
	dst := image.NewRGBA(bounds)
	for y := range bounds.Dy() {
		for x := range bounds.Dx() {
			sx, sy := x, y
			if o >= 5 {
				sx, sy = y, x
			}
			if o == 2 || o == 3 || o == 7 || o == 8 {
				sx = w - 1 - sx
			}
			if o == 3 || o == 4 || o == 6 || o == 7 {
				sy = h - 1 - sy
			}
			copy(dst.Pix[y*dst.Stride+4*x:][:4], src.Pix[sy*src.Stride+4*sx:])
		}
	}
	return dst
}

// xmpOrientation is where XMP has what EXIF calls orientation.
var xmpOrientation = regexp.MustCompile(`tiff:Orientation(?:\s*=\s*["']|>)\s*([1-8])`)

// orientation returns the EXIF orientation, else that in XMP, else 1: a picture is not refused
// for its notes. (TIFF 6.0, section 8.) It is to be one SHORT, but any number counts.
func (n notes) orientation() int {
	const tag = 274
	if n.turned >= 1 && n.turned <= 8 {
		return n.turned
	}
	if exif, err := tiff.First(n.exif); err == nil && exif.Bytes(tag) != nil {
		if o := exif.Int(tag, 1); o >= 1 && o <= 8 {
			return o
		}
		return 1
	}
	if found := xmpOrientation.FindSubmatch(n.xmp); found != nil {
		return int(found[1][0] - '0')
	}
	return 1
}
