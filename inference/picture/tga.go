package picture

import (
	"errors"
	"image"
	"io"
)

// tga is the header of a Truevision TGA picture. Source: Truevision's specification, 1991.
type tga struct {
	kind                 byte // 1 palette, 2 colours, 3 gray, with 8 more run by run
	width, height, depth int
	up, left             bool // rows go up, pixels go left
	paletted             bool
	first, count, wide   int // of the palette's colours, wide in bits
	data                 []byte
}

const tgaHeader = 18

// readTGA reads a header, which has no magic bytes but few combinations.
func readTGA(data []byte) (*tga, error) {
	if len(data) < tgaHeader {
		return nil, io.ErrUnexpectedEOF
	}
	word := func(at int) int { return int(data[at]) | int(data[at+1])<<8 }
	t := &tga{kind: data[2] &^ 8, width: word(12), height: word(14), depth: int(data[16]),
		up: data[17]&0x20 == 0, left: data[17]&0x10 != 0,
		paletted: data[1] == 1, first: word(3), count: word(5), wide: int(data[7])}
	colour := t.kind == 2 && (t.depth == 15 || t.depth == 16 || t.depth == 24 || t.depth == 32)
	indexed := t.kind == 1 && t.paletted && t.depth == 8 && (t.wide == 15 || t.wide == 16 || t.wide == 24 || t.wide == 32)
	gray := t.kind == 3 && (t.depth == 8 || t.depth == 16)
	if data[1] > 1 || !colour && !indexed && !gray || data[17]&0xc0 != 0 || t.width < 1 || t.height < 1 || t.first+t.count > 1<<16 {
		return nil, errors.New("the header is of no known kind")
	}
	t.data = data[min(len(data), tgaHeader+int(data[0])):]
	return t, nil
}

func tgaSize(data []byte) (image.Point, error) {
	t, err := readTGA(data)
	if err != nil {
		return image.Point{}, err
	}
	return image.Pt(t.width, t.height), nil
}

// tgaPixel returns the colour of a pixel or of a palette's entry.
func tgaPixel(b []byte) [3]byte {
	switch len(b) {
	case 1:
		return [3]byte{b[0], b[0], b[0]}
	case 2:
		v := int(b[0]) | int(b[1])<<8
		return [3]byte{five(v >> 10), five(v >> 5), five(v)}
	}
	return [3]byte{b[2], b[1], b[0]}
}

// five returns the level of the lowest five bits.
func five(v int) byte { return byte(v & 31 * 255 / 31) }

func decodeTGA(data []byte) (image.Image, error) {
	t, err := readTGA(data)
	if err != nil {
		return nil, err
	}
	var palette [][3]byte
	if t.paletted {
		size := (t.wide + 7) / 8
		if len(t.data) < size*t.count {
			return nil, io.ErrUnexpectedEOF
		}
		palette = make([][3]byte, t.first+t.count)
		for i := range t.count {
			palette[t.first+i] = tgaPixel(t.data[i*size:][:size])
		}
		t.data = t.data[size*t.count:]
	}
	img := image.NewRGBA(image.Rect(0, 0, t.width, t.height))
	size := (t.depth + 7) / 8
	next := t.pixels(data[2]&8 != 0, size)
	for y := range t.height {
		for x := range t.width {
			b, err := next()
			if err != nil {
				return nil, err
			}
			var c [3]byte
			switch {
			case t.kind == 3: // gray, perhaps with alpha
				c = [3]byte{b[0], b[0], b[0]}
			case t.kind == 2:
				c = tgaPixel(b)
			case int(b[0]) < len(palette):
				c = palette[b[0]]
			default:
				return nil, errors.New("a colour is not in the palette")
			}
			px, py := x, y
			if t.left {
				px = t.width - 1 - x
			}
			if t.up {
				py = t.height - 1 - y
			}
			copy(img.Pix[img.PixOffset(px, py):], []byte{c[0], c[1], c[2], 255})
		}
	}
	return img, nil
}

// pixels returns what yields the pixels of so many bytes, run by run or one by one.
func (t *tga) pixels(runs bool, size int) func() ([]byte, error) {
	left, repeat := 0, false
	return func() (b []byte, err error) {
		if runs && left == 0 {
			if len(t.data) < 1 {
				return nil, io.ErrUnexpectedEOF
			}
			left, repeat = 1+int(t.data[0]&0x7f), t.data[0]&0x80 != 0
			t.data = t.data[1:]
		}
		if len(t.data) < size {
			return nil, io.ErrUnexpectedEOF
		}
		b = t.data[:size]
		if left--; !repeat || left == 0 {
			t.data = t.data[size:]
		}
		return b, nil
	}
}
