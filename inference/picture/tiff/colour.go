package tiff

import (
	"errors"
	"math"
)

// colours turn the samples of a pixel into red, green and blue of 16 bits.
type colours struct {
	*header
	white float64   // the sample's value
	table []float64 // of a palette: red, then green, then blue
	scale float64   // of the palette's values

	// Of YCbCr, TIFF 6.0, section 21: the lumas of red, green and blue, and which samples are
	// black and white, or no colour and full colour.
	luma   [3]float64
	limits [6]float64
}

func newColours(h *header) (*colours, error) {
	c := &colours{header: h, white: math.Ldexp(1, h.bits) - 1}
	switch h.photometric {
	case palette:
		c.table = h.Numbers(tagColourMap)
		if len(c.table) < 3<<h.bits {
			return nil, errors.New("the palette is missing or cut short")
		}
		c.scale = 257
		for _, v := range c.table {
			if v > 255 {
				c.scale = 1
			}
		}
	case ycbcr:
		c.luma = [3]float64{0.299, 0.587, 0.114}
		if n := h.Numbers(tagCoefficients); len(n) == 3 {
			copy(c.luma[:], n)
		}
		c.limits = [6]float64{0, 255, 128, 255, 128, 255}
		if n := h.Numbers(tagBlackWhite); len(n) == 6 {
			copy(c.limits[:], n)
		}
	}
	return c, nil
}

// level returns a value from 0 to 1 in 16 bits.
func level(v float64) uint16 {
	if !(v > 0) {
		return 0
	}
	return uint16(min(v, 1)*65535 + 0.5)
}

func (c *colours) pixel(s []float64) [3]uint16 {
	switch c.photometric {
	case whiteIsZero, blackIsZero:
		v := s[0] / c.white
		if c.premultiplied {
			v = c.divide(s[0], s[1])
		}
		if c.photometric == whiteIsZero {
			v = 1 - v
		}
		return [3]uint16{level(v), level(v), level(v)}
	case rgb:
		if c.premultiplied {
			return [3]uint16{level(c.divide(s[0], s[3])), level(c.divide(s[1], s[3])), level(c.divide(s[2], s[3]))}
		}
		return [3]uint16{level(s[0] / c.white), level(s[1] / c.white), level(s[2] / c.white)}
	case palette:
		n := 1 << c.bits
		i := int(s[0])
		return [3]uint16{uint16(c.table[i] * c.scale), uint16(c.table[n+i] * c.scale), uint16(c.table[2*n+i] * c.scale)}
	case separated:
		return c.ink(s)
	case ycbcr:
		if c.compression == jpegNew || c.compression == jpegOld {
			return [3]uint16{level(s[0] / c.white), level(s[1] / c.white), level(s[2] / c.white)}
		}
		return c.ycc(s)
	}
	return c.lab(s)
}

// divide returns a sample without its share of alpha, in whole levels as PIL does.
func (c *colours) divide(v, alpha float64) float64 {
	if alpha <= 0 {
		return 0
	}
	if c.format == floating {
		return v / alpha
	}
	return math.Floor(min(c.white, v*c.white/alpha)) / c.white
}

// ink returns what black and the other inks leave of white, rounded to 8 bits as PIL does.
func (c *colours) ink(s []float64) (p [3]uint16) {
	scale := 255 / c.white
	light := 255 - math.Floor(s[3]*scale)
	for i := range p {
		ink := math.Floor(s[i]*scale)*light/255 + 0.5
		p[i] = uint16(max(0, light-math.Floor(ink))) * 257
	}
	return p
}

func (c *colours) ycc(s []float64) [3]uint16 {
	full := c.white
	part := func(v float64, i int, range_ float64) float64 {
		return (v - c.limits[i]) * range_ / (c.limits[i+1] - c.limits[i])
	}
	y, cb, cr := part(s[0], 0, full), part(s[1], 2, 127), part(s[2], 4, 127)
	r := y + cr*(2-2*c.luma[0])
	b := y + cb*(2-2*c.luma[2])
	g := (y - c.luma[0]*r - c.luma[2]*b) / c.luma[1]
	round := func(v float64) uint16 { return level(math.Floor(v+0.5) / full) }
	return [3]uint16{round(r), round(g), round(b)}
}

// lab turns CIE L*a*b* under D50 into sRGB, by Bradford's adaptation to D65.
func (c *colours) lab(s []float64) [3]uint16 {
	unit := math.Ldexp(1, c.bits-8) // of a* and b*
	l := s[0] / c.white * 100
	signed := func(v float64) float64 {
		if c.photometric == iccLab {
			return v/unit - 128
		}
		if v > c.white/2 {
			v -= c.white + 1
		}
		return v / unit
	}
	if c.photometric == iccLab {
		l = s[0] / (255 * unit) * 100
	}
	fy := (l + 16) / 116
	fx, fz := fy+signed(s[1])/500, fy-signed(s[2])/200
	x, y, z := 0.9642*cube(fx), cube(fy), 0.8249*cube(fz)
	return [3]uint16{
		level(encode(3.1338561*x - 1.6168667*y - 0.4906146*z)),
		level(encode(-0.9787684*x + 1.9161415*y + 0.0334540*z)),
		level(encode(0.0719453*x - 0.2289914*y + 1.4052427*z)),
	}
}

// cube is the inverse of CIE's function of lightness.
func cube(f float64) float64 {
	if f > 6.0/29 {
		return f * f * f
	}
	return 3 * (6.0 / 29) * (6.0 / 29) * (f - 4.0/29)
}

// encode is sRGB's curve.
func encode(v float64) float64 {
	if v <= 0.0031308 {
		return 12.92 * v
	}
	return 1.055*math.Pow(v, 1/2.4) - 0.055
}
