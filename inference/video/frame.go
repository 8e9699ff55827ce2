package video

import (
	"fmt"
	"image"
)

// FromFloat fills dst with a frame of the model: r, g and b are its planes,
// row-major, one value a pixel in [-1,1]. Values are clamped and mapped to
// trunc((x+1)/2*255), the reference's save_video (torchvision make_grid with
// normalize, then a cast to uint8); NaN becomes 0. It panics if a plane has not
// exactly dst's pixels.
func FromFloat(dst *image.RGBA, r, g, b []float32) {
	width, height := dst.Rect.Dx(), dst.Rect.Dy()
	for _, plane := range [][]float32{r, g, b} {
		if len(plane) != width*height {
			panic(fmt.Sprintf("video: plane of %d values for a frame of %dx%d", len(plane), width, height))
		}
	}
	for y := range height {
		row := dst.Pix[y*dst.Stride:][:4*width]
		rs, gs, bs := r[y*width:][:width], g[y*width:][:width], b[y*width:][:width]
		for x := range width {
			p := row[4*x : 4*x+4 : 4*x+4]
			p[0], p[1], p[2], p[3] = toByte(rs[x]), toByte(gs[x]), toByte(bs[x]), 255
		}
	}
}

func toByte(x float32) uint8 {
	if !(x > -1) { // NaN too
		return 0
	}
	return uint8((min(x, 1) + 1) / 2 * 255)
}

// Fixed-point BT.709 for limited range (ITU-R BT.709-6, section 3), scaled by
// 1<<16: the rows of Cb and Cr add up to 0 exactly, so that grey has no colour.
const (
	yR, yG, yB    = 11966, 40254, 4064
	cbR, cbG, cbB = -6596, -22188, 28784
	crR, crG, crB = 28784, -26145, -2639
)

// toYCbCr fills dst, 4:2:0, from src of the same even size. A chroma sample is
// the weighted mean around its place, which for H.264 by default is in the
// column of the left pixel and between the two rows.
func toYCbCr(dst *image.YCbCr, src *image.RGBA) {
	width, height := src.Rect.Dx(), src.Rect.Dy()
	for y := 0; y < height; y += 2 {
		top := src.Pix[y*src.Stride:][:4*width]
		bottom := src.Pix[(y+1)*src.Stride:][:4*width]
		lumaRow(dst.Y[y*dst.YStride:][:width], top)
		lumaRow(dst.Y[(y+1)*dst.YStride:][:width], bottom)
		c := y / 2 * dst.CStride
		chromaRow(dst.Cb[c:][:width/2], dst.Cr[c:][:width/2], top, bottom)
	}
}

func lumaRow(dst, rgba []byte) {
	for x := range dst {
		p := rgba[4*x : 4*x+4 : 4*x+4]
		dst[x] = uint8((yR*int32(p[0]) + yG*int32(p[1]) + yB*int32(p[2]) + 16<<16 + 1<<15) >> 16)
	}
}

func chromaRow(cb, cr, top, bottom []byte) {
	var left [3]int32 // sums of the column left of x
	for i := range left {
		left[i] = int32(top[i]) + int32(bottom[i])
	}
	for i := range cb {
		var sum [3]int32 // eight times the mean
		for c := range sum {
			x := 8*i + c
			right := int32(top[x+4]) + int32(bottom[x+4])
			sum[c] = left[c] + 2*(int32(top[x])+int32(bottom[x])) + right
			left[c] = right
		}
		cb[i] = uint8((cbR*sum[0] + cbG*sum[1] + cbB*sum[2] + 128<<19 + 1<<18) >> 19)
		cr[i] = uint8((crR*sum[0] + crG*sum[1] + crB*sum[2] + 128<<19 + 1<<18) >> 19)
	}
}
