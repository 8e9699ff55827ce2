package picture

import (
	"image"
	"math"
)

// Tensor returns the picture resized to width x height as float32 [3, height, width],
// red first, from -1 for black to 1: torchvision's to_tensor and normalisation, then
// torch's bicubic interpolation (a = -0.75, no antialiasing, edges repeated; values may
// overshoot).
func Tensor(img image.Image, width, height int) []float32 {
	src := opaque(img)
	var level [256]float32
	for i := range level {
		level[i] = (float32(i)/255 - 0.5) / 0.5
	}
	columns, rows := cubicTaps(src.Rect.Dx(), width), cubicTaps(src.Rect.Dy(), height)
	out := make([]float32, 3*height*width)
	for y, row := range rows {
		for x, col := range columns {
			var value [3]float32
			for j, sy := range row.at {
				line := src.Pix[sy*src.Stride:]
				for c := range value {
					var sum float32
					for i, sx := range col.at {
						sum += float32(col.weight[i] * level[line[4*sx+c]])
					}
					value[c] += float32(row.weight[j] * sum)
				}
			}
			for c, v := range value {
				out[(c*height+y)*width+x] = v
			}
		}
	}
	return out
}

// taps are the four source pixels of an output pixel in one direction.
type taps struct {
	at     [4]int
	weight [4]float32
}

// cubicTaps returns the taps that resize n pixels to m. Source: Keys, Cubic Convolution
// Interpolation for Digital Image Processing (1981), eq. 4, in torch's float32.
func cubicTaps(n, m int) []taps {
	const a = -0.75
	inner := func(x float32) float32 { // up to one pixel away
		return float32(float32(float32(float32((a+2)*x)-(a+3))*x)*x) + 1
	}
	outer := func(x float32) float32 { // one to two pixels away
		return float32(float32(float32(float32(float32(a*x)-5*a)*x)+8*a)*x) - 4*a
	}
	scale := float32(n) / float32(m)
	all := make([]taps, m)
	for i := range all {
		source := float32(scale*(float32(i)+0.5)) - 0.5
		floor := float32(math.Floor(float64(source)))
		t := source - floor
		all[i].weight = [4]float32{outer(t + 1), inner(t), inner(1 - t), outer(2 - t)}
		for k := range 4 {
			all[i].at[k] = max(0, min(n-1, int(floor)-1+k))
		}
	}
	return all
}
