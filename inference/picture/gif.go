package picture

import (
	"bytes"
	"errors"
	"image"
	"image/draw"
	"image/gif"
)

func gifSize(data []byte) (image.Point, error) {
	if len(data) < 10 {
		return image.Point{}, errors.New("the header is cut short")
	}
	return image.Pt(int(data[6])|int(data[7])<<8, int(data[8])|int(data[9])<<8), nil
}

// decodeGIF decodes the first frame, on the colour that is transparent or else the first one
// where it does not fill the picture. Go's decoder makes the transparent colour black, so it
// is told that there is none.
func decodeGIF(data []byte) (image.Image, error) {
	data, background := solidGIF(data)
	decoded, err := gif.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	size, _ := gifSize(data)
	canvas := image.NewRGBA(image.Rectangle{Max: size})
	if p, ok := decoded.(*image.Paletted); ok && background < len(p.Palette) {
		draw.Draw(canvas, canvas.Rect, image.NewUniform(p.Palette[background]), image.Point{}, draw.Src)
	}
	draw.Draw(canvas, decoded.Bounds(), decoded, decoded.Bounds().Min, draw.Src)
	return canvas, nil
}

// solidGIF returns a GIF file without the transparency of its first frame, and the index of
// what was transparent, else 0. Source: the GIF89a specification.
func solidGIF(data []byte) (solid []byte, transparent int) {
	const (
		extension, control       = 0x21, 0xf9
		tables                   = 0x80
		header, controlLen, flag = 13, 4, 1
	)
	solid = bytes.Clone(data)
	if len(solid) < header {
		return solid, 0
	}
	at := header
	if solid[10]&tables != 0 {
		at += 3 << (1 + solid[10]&7)
	}
	for at+2 < len(solid) && solid[at] == extension {
		label := solid[at+1]
		if at += 2; label == control && at+controlLen < len(solid) && solid[at] == controlLen {
			if solid[at+1]&flag != 0 {
				transparent = int(solid[at+4])
			}
			solid[at+1] &^= flag
		}
		for at < len(solid) && solid[at] != 0 {
			at += 1 + int(solid[at])
		}
		at++
	}
	return solid, transparent
}
