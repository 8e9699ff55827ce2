package jpeg

import (
	"image"

	"gimbal/inference/picture/internal/rows"
)

// output returns the picture that the samples make.
func (d *decoder) output(colour Colour) image.Image {
	if colour == AsMarked {
		colour = d.guess()
	}
	bounds := image.Rect(0, 0, d.width, d.height)
	switch len(d.components) {
	case 1:
		img := image.NewGray(bounds)
		d.rows(func(y int, planes [][]uint8) { copy(img.Pix[y*img.Stride:], planes[0][:d.width]) })
		return img
	case 3:
		img := image.NewRGBA(bounds)
		d.rows(func(y int, planes [][]uint8) { pixels(img.Pix[y*img.Stride:][:img.Stride], planes, colour, nil) })
		return img
	}
	img := image.NewCMYK(bounds)
	d.rows(func(y int, planes [][]uint8) { pixels(img.Pix[y*img.Stride:][:img.Stride], planes, colour, planes[3]) })
	return img
}

// guess returns what the components are, as libjpeg takes them to be.
func (d *decoder) guess() Colour {
	var ids [3]int
	for i, c := range d.components[:min(3, len(d.components))] {
		ids[i] = c.id
	}
	switch {
	case len(d.components) == 4 && d.adobe > 0, len(d.components) == 3 && d.jfif:
		return YCbCr
	case len(d.components) == 4, d.adobe == 0, d.adobe < 0 && ids == [3]int{'R', 'G', 'B'}:
		return Stored
	}
	return YCbCr
}

// rows calls f for every row with the components at the picture's size.
func (d *decoder) rows(f func(y int, planes [][]uint8)) {
	rows.InParallel(d.height, func(from, to int) {
		planes := make([][]uint8, len(d.components))
		for i := range planes {
			planes[i] = make([]uint8, d.width+1)
		}
		for y := from; y < to; y++ {
			for i, c := range d.components {
				c.row(planes[i], y, d)
			}
			f(y, planes)
		}
	})
}

// pixels writes a row of four bytes a pixel: colours of ITU-R BT.601 in the full range, in
// units of 1/65536 as libjpeg has them, or the samples, then 255 or black. Inverted cyan,
// magenta and yellow are the very red, green and blue of YCCK.
func pixels(dst []uint8, planes [][]uint8, colour Colour, black []uint8) {
	one, two, three := planes[0], planes[1], planes[2]
	for x := range len(dst) / 4 {
		p := dst[4*x:][:4]
		p[3] = 255
		if black != nil {
			p[3] = 255 - black[x]
		}
		switch {
		case colour == YCbCr:
			y, b, r := int32(one[x])<<16+1<<15, int32(two[x])-128, int32(three[x])-128
			p[0], p[1], p[2] = clamp((y+91881*r)>>16), clamp((y-22554*b-46802*r)>>16), clamp((y+116130*b)>>16)
		case black != nil:
			p[0], p[1], p[2] = 255-one[x], 255-two[x], 255-three[x]
		default:
			p[0], p[1], p[2] = one[x], two[x], three[x]
		}
	}
}

func clamp(v int32) uint8 { return uint8(max(0, min(255, v))) }

// row writes row y of the component at the picture's size to dst, which has room for one
// value more. Where one sample stands for two pixels in a direction, a pixel is 3/4 of its
// own sample and 1/4 of the next nearest one, rounded as libjpeg's "fancy upsampling" does;
// otherwise samples are repeated.
func (c *component) row(dst []uint8, y int, d *decoder) {
	width, height := ceil(d.width*c.h, d.maxH), ceil(d.height*c.v, d.maxV)
	twoX, twoY := 2*c.h == d.maxH, 2*c.v == d.maxV
	sameX, sameY := c.h == d.maxH, c.v == d.maxV
	near := c.samples[y*c.v/d.maxV*8*c.stride:][:width]
	far := near
	if twoY {
		other := max(0, min(height-1, y/2+y%2*2-1))
		far = c.samples[other*8*c.stride:][:width]
	}
	switch {
	case sameX && sameY:
		copy(dst, near)
	case twoX && sameY && width > 2:
		for x, this := range near {
			last, next := near[max(0, x-1)], near[min(width-1, x+1)]
			dst[2*x] = uint8((3*int(this) + int(last) + 1) >> 2)
			dst[2*x+1] = uint8((3*int(this) + int(next) + 2) >> 2)
		}
	case sameX && twoY:
		for x := range near {
			dst[x] = uint8((3*int(near[x]) + int(far[x]) + 1 + y%2) >> 2)
		}
	case twoX && twoY && width > 2:
		this := 3*int(near[0]) + int(far[0])
		last := this
		for x := range near {
			next := this
			if x+1 < width {
				next = 3*int(near[x+1]) + int(far[x+1])
			}
			dst[2*x] = uint8((3*this + last + 8) >> 4)
			dst[2*x+1] = uint8((3*this + next + 7) >> 4)
			last, this = this, next
		}
	default:
		for x := range d.width {
			dst[x] = near[x*c.h/d.maxH]
		}
	}
}
