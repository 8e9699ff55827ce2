package picture

import (
	"image"
	"runtime"
	"sync"
)

// yccMatrix turns one pixel of luma and chroma into red, green and blue, in units of
// 1/65536: the luma times y, and each chroma less 128 times its factor. Go's
// conversion of image.YCbCr takes all luma for JFIF's and repeats chroma samples.
type yccMatrix struct {
	black, y                        int
	redCr, greenCb, greenCr, blueCb int
}

var (
	// jfif is the conversion of JPEG: ITU-R BT.601 in the full range.
	jfif = yccMatrix{0, 65536, 91881, -22554, -46802, 116130}
	// studio is that of VP8: ITU-R BT.601, black at 16, white at 235.
	studio = yccMatrix{16, 76308, 104596, -25676, -53280, 132200}
)

// convert writes the colours of src to dst, of the same size, but not its alpha.
func (m yccMatrix) convert(dst *image.RGBA, src *image.YCbCr) {
	w, h := src.Rect.Dx(), src.Rect.Dy()
	workers := min(h, runtime.GOMAXPROCS(0))
	var group sync.WaitGroup
	for i := range workers {
		group.Go(func() {
			cb, cr := make([]uint8, w+1), make([]uint8, w+1)
			for y := i * h / workers; y < (i+1)*h/workers; y++ {
				upsample(cb, src.Cb, src, y)
				upsample(cr, src.Cr, src, y)
				m.row(dst.Pix[y*dst.Stride:][:4*w], src.Y[y*src.YStride:][:w], cb, cr)
			}
		})
	}
	group.Wait()
}

func (m yccMatrix) row(dst, luma, cb, cr []uint8) {
	for x, l := range luma {
		y := (int(l)-m.black)*m.y + 1<<15
		b, r := int(cb[x])-128, int(cr[x])-128
		p := dst[4*x:][:3]
		p[0] = clamp(y + m.redCr*r)
		p[1] = clamp(y + m.greenCb*b + m.greenCr*r)
		p[2] = clamp(y + m.blueCb*b)
	}
}

func clamp(v int) uint8 { return uint8(max(0, min(255, v>>16))) }

// upsample writes row y of a chroma plane to dst at the size of the luma, which has
// room for one value more. Where one sample stands for two pixels in a direction, a
// pixel is 3/4 of its own sample and 1/4 of the next nearest one, rounded as libjpeg's
// "fancy upsampling" does.
func upsample(dst, plane []uint8, src *image.YCbCr, y int) {
	w, h := src.Rect.Dx(), src.Rect.Dy()
	stepX, stepY := ratio(src.SubsampleRatio)
	cw, ch := (w+stepX-1)/stepX, (h+stepY-1)/stepY
	near := plane[y/stepY*src.CStride:][:cw]
	if stepX > 2 || stepX == 1 && stepY == 1 {
		for x := range w {
			dst[x] = near[x/stepX]
		}
		return
	}
	// Vertically first: sums of weight one, or of weight four with far.
	far, weight := near, 1
	if stepY == 2 {
		other := max(0, min(ch-1, y/2+y%2*2-1))
		far, weight = plane[other*src.CStride:][:cw], 4
	}
	sum := func(x int) int {
		if weight == 1 {
			return int(near[x])
		}
		return 3*int(near[x]) + int(far[x])
	}
	if stepX == 1 {
		for x := range w {
			dst[x] = uint8((sum(x) + 1 + y%2) >> 2)
		}
		return
	}
	// Horizontally, the roundings are 1 and 2 of 4, or 8 and 7 of 16.
	left, right, shift := 1, 2, 2
	if weight == 4 {
		left, right, shift = 8, 7, 4
	}
	last := sum(0)
	for x := range near {
		this := sum(x)
		next := sum(min(x+1, cw-1))
		dst[2*x] = uint8((3*this + last + left) >> shift)
		dst[2*x+1] = uint8((3*this + next + right) >> shift)
		last = this
	}
}

// ratio returns how many pixels one chroma sample stands for, in both directions.
func ratio(r image.YCbCrSubsampleRatio) (x, y int) {
	switch r {
	case image.YCbCrSubsampleRatio422:
		return 2, 1
	case image.YCbCrSubsampleRatio420:
		return 2, 2
	case image.YCbCrSubsampleRatio440:
		return 1, 2
	case image.YCbCrSubsampleRatio411:
		return 4, 1
	case image.YCbCrSubsampleRatio410:
		return 4, 2
	}
	return 1, 1
}
