package tiff

import (
	"errors"
	"image"
	"io"
	"math"
)

// Size returns the size of the first picture.
func Size(data []byte) (image.Point, error) {
	h, err := readHeader(data)
	if err != nil {
		return image.Point{}, err
	}
	return image.Pt(h.width, h.height), h.check()
}

// Decode decodes the first picture to *image.RGBA, or *image.NRGBA64 of more than 8 bits a
// sample, in either case opaque.
func Decode(data []byte) (image.Image, error) {
	h, err := readHeader(data)
	if err != nil {
		return nil, err
	}
	if err := h.check(); err != nil {
		return nil, err
	}
	c, err := newColours(h)
	if err != nil {
		return nil, err
	}
	if h.format == floating {
		most := 0.0
		if err := h.rows(func(_ int, _ int, row []float64) { // what is white
			for i, v := range row {
				if i%h.samples < 3 && !math.IsInf(v, 0) {
					most = max(most, v)
				}
			}
		}); err != nil {
			return nil, err
		}
		c.white = white(most)
	}
	bounds := image.Rect(0, 0, h.width, h.height)
	if h.bits > 8 {
		img := image.NewNRGBA64(bounds)
		return img, h.rows(func(x, y int, row []float64) {
			to := img.Pix[y*img.Stride+8*x:]
			for ; len(row) > 0; row, to = row[h.samples:], to[8:] {
				p := c.pixel(row)
				for i, v := range p {
					to[2*i], to[2*i+1] = uint8(v>>8), uint8(v)
				}
				to[6], to[7] = 255, 255
			}
		})
	}
	img := image.NewRGBA(bounds)
	return img, h.rows(func(x, y int, row []float64) {
		to := img.Pix[y*img.Stride+4*x:]
		for ; len(row) > 0; row, to = row[h.samples:], to[4:] {
			p := c.pixel(row)
			to[0], to[1], to[2], to[3] = uint8(p[0]>>8), uint8(p[1]>>8), uint8(p[2]>>8), 255
		}
	})
}

// white returns which value of floating-point samples is white, by the highest one: 1 with
// some headroom, or an integer's highest value.
func white(most float64) float64 {
	switch {
	case most <= 16:
		return 1
	case most <= 256:
		return 255
	}
	return 65535
}

// rows calls f for each row of each chunk, which begins at x, y: the samples of its pixels.
func (h *header) rows(f func(x, y int, row []float64)) error {
	c := &h.chunk
	for cy := range c.down {
		for cx := range c.across {
			p := piece{width: c.width, height: c.height, samples: h.samples / h.planes}
			if h.Bytes(tagTileWidth) == nil {
				p.height = min(c.height, h.height-cy*c.height)
			}
			wide, high := min(c.width, h.width-cx*c.width), min(c.height, h.height-cy*c.height)
			var planes [][]byte
			for plane := range h.planes {
				rows, err := h.read((plane*c.down+cy)*c.across+cx, &p)
				if err != nil {
					return err
				}
				planes = append(planes, rows)
			}
			row := make([]float64, wide*h.samples)
			for y := range high {
				for i, rows := range planes {
					h.samplesOf(rows[y*p.stride:][:p.stride], row[i:], p.samples, h.planes)
				}
				f(cx*c.width, cy*c.height+y, row)
			}
		}
	}
	return nil
}

// read returns the rows of chunk i, and completes what is known of it.
func (h *header) read(i int, p *piece) ([]byte, error) {
	from, length := h.offsets[i], math.Inf(1)
	if i < len(h.counts) {
		length = h.counts[i]
	}
	if !(from >= 0 && from < float64(len(h.data)) && length >= 0) {
		return nil, io.ErrUnexpectedEOF
	}
	data := h.data[int(from):]
	data = data[:int(min(length, float64(len(data))))]
	if h.Int(tagFillOrder, 1) == 2 && h.compression != jpegNew && h.compression != jpegOld {
		data = reversed(data)
	}
	p.stride = (p.width*p.samples*h.bits + 7) / 8
	packed := p.stride * p.height
	sub := h.subsampling
	if sub != [2]int{1, 1} {
		packed = ceil(p.width, sub[0]) * ceil(p.height, sub[1]) * (sub[0]*sub[1] + 2)
	}
	p.size = packed
	rows, err := packings[h.compression](h, data, *p)
	if err != nil {
		return nil, err
	}
	if len(rows) < packed {
		return nil, io.ErrUnexpectedEOF
	}
	if sub != [2]int{1, 1} {
		return h.spread(rows, *p), nil
	}
	if h.predictor > 1 && h.compression != jpegNew && h.compression != jpegOld {
		if h.compression == 1 {
			return nil, errors.New("there is a predictor but no compression")
		}
		h.undo(rows, *p)
	}
	return rows, nil
}

// spread repeats the colours of YCbCr units for each luma.
func (h *header) spread(units []byte, p piece) []byte {
	sx, sy := h.subsampling[0], h.subsampling[1]
	out := make([]byte, p.stride*p.height)
	for uy := range ceil(p.height, sy) {
		for ux := range ceil(p.width, sx) {
			unit := units[:sx*sy+2]
			units = units[sx*sy+2:]
			for i, luma := range unit[:sx*sy] {
				if x, y := ux*sx+i%sx, uy*sy+i/sx; x < p.width && y < p.height {
					copy(out[y*p.stride+3*x:], []byte{luma, unit[sx*sy], unit[sx*sy+1]})
				}
			}
		}
	}
	return out
}

// samplesOf reads the samples of a row, of which a chunk has n a pixel, to every step-th place.
func (h *header) samplesOf(from []byte, to []float64, n, step int) {
	bit := 0
	for i := 0; i < len(to); i += step {
		var v float64
		switch {
		case h.format == floating:
			v = h.float(from)
			from = from[h.bits/8:]
		case h.bits == 8:
			v, from = float64(from[0]), from[1:]
		case h.bits == 16:
			v, from = float64(h.order.Uint16(from)), from[2:]
		case h.bits == 32:
			v, from = float64(h.order.Uint32(from)), from[4:]
		default:
			u := 0
			for range h.bits {
				u = u<<1 | int(from[bit/8]>>(7-bit%8))&1
				bit++
			}
			v = float64(u)
		}
		to[i] = v
	}
}

// float reads a floating-point sample: NaN is black.
func (h *header) float(b []byte) float64 {
	var v float64
	switch h.bits {
	case 16:
		v = small(uint32(h.order.Uint16(b)), 10, 15)
	case 24:
		u := uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2])
		if h.order.Uint16([]byte{1, 0}) == 1 {
			u = uint32(b[2])<<16 | uint32(b[1])<<8 | uint32(b[0])
		}
		v = small(u, 16, 63)
	case 32:
		v = float64(math.Float32frombits(h.order.Uint32(b)))
	default:
		v = math.Float64frombits(h.order.Uint64(b))
	}
	if math.IsNaN(v) {
		return 0
	}
	return v
}

// small returns the value of a floating-point number of so many bits of fraction and so large
// an offset of its exponent.
func small(u uint32, fraction, bias int) float64 {
	exponent := int(u>>fraction) & (2*bias + 1)
	v := float64(u & (1<<fraction - 1))
	switch {
	case exponent == 2*bias+1:
		v = math.Inf(1)
	case exponent == 0:
		v = math.Ldexp(v, 1-bias-fraction)
	default:
		v = math.Ldexp(v+float64(int(1)<<fraction), exponent-bias-fraction)
	}
	if u>>(fraction)&uint32(2*(bias+1)) != 0 {
		v = -v
	}
	return v
}
