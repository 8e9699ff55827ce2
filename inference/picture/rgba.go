package picture

import (
	"image"
	"image/color"
	"image/draw"
)

// opaque returns the picture as stored, alpha dropped.
func opaque(src image.Image) *image.RGBA {
	bounds := src.Bounds()
	if rgba, ok := src.(*image.RGBA); ok && bounds.Min == (image.Point{}) && rgba.Opaque() {
		return rgba
	}
	dst := image.NewRGBA(image.Rectangle{Max: bounds.Size()})
	row := func(pix []uint8, stride, y int) (from, to []uint8) {
		return pix[y*stride:], dst.Pix[y*dst.Stride:][:dst.Stride]
	}
	for y := range dst.Rect.Dy() {
		switch src := src.(type) {
		case *image.NRGBA:
			from, to := row(src.Pix, src.Stride, y)
			copy(to, from)
		case *image.NRGBA64:
			from, to := row(src.Pix, src.Stride, y)
			for i := range to {
				to[i] = from[2*i] // the high byte
			}
		case *image.CMYK:
			from, to := row(src.Pix, src.Stride, y)
			cmykRow(to, from)
		}
	}
	switch src := src.(type) {
	case *image.NRGBA, *image.NRGBA64, *image.CMYK:
	case *image.Paletted:
		solid := *src
		solid.Palette = opaquePalette(src.Palette)
		draw.Draw(dst, dst.Rect, &solid, bounds.Min, draw.Src)
	default:
		draw.Draw(dst, dst.Rect, src, bounds.Min, draw.Src)
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

// cmykRow turns ink into colours as PIL does: what black leaves, less the ink's share of it.
func cmykRow(dst, src []uint8) {
	for i := 0; i < len(dst); i += 4 {
		light := 255 - int(src[i+3])
		for c := range 3 {
			ink := int(src[i+c])*light + 128
			dst[i+c] = uint8(max(0, light-(ink>>8+ink)>>8))
		}
	}
}
