package picture

import (
	"image"
	"image/color"
	"image/draw"
)

// opaque returns the picture as stored, alpha dropped, on a canvas, which it fills but
// for the first frame of some GIFs.
func opaque(src image.Image, canvas image.Rectangle, colour yccMatrix) *image.RGBA {
	if rgba, ok := src.(*image.RGBA); ok && rgba.Rect == canvas && rgba.Opaque() {
		return rgba
	}
	dst := image.NewRGBA(canvas)
	switch src := src.(type) {
	case *image.YCbCr:
		colour.convert(dst, src)
	case *image.NYCbCrA:
		colour.convert(dst, &src.YCbCr)
	case *image.NRGBA:
		for y := range canvas.Dy() {
			copy(dst.Pix[y*dst.Stride:][:dst.Stride], src.Pix[y*src.Stride:])
		}
	case *image.NRGBA64:
		for y := range canvas.Dy() {
			from, to := src.Pix[y*src.Stride:], dst.Pix[y*dst.Stride:][:dst.Stride]
			for i := range to {
				to[i] = from[2*i] // the high byte
			}
		}
	case *image.Paletted:
		solid := *src
		solid.Palette = opaquePalette(src.Palette)
		draw.Draw(dst, src.Rect, &solid, src.Rect.Min, draw.Src)
	default:
		draw.Draw(dst, canvas, src, src.Bounds().Min, draw.Src)
	}
	for i := 3; i < len(dst.Pix); i += 4 {
		dst.Pix[i] = 255
	}
	return dst
}

func opaquePalette(p color.Palette) color.Palette {
	solid := make(color.Palette, len(p))
	for i, c := range p {
		n := color.NRGBAModel.Convert(c).(color.NRGBA)
		solid[i] = color.RGBA{n.R, n.G, n.B, 255}
	}
	return solid
}
