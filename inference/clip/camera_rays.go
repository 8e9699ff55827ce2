package clip

import (
	"fmt"
	"math"
	"runtime"
	"sync"

	"gimbal/inference"
)

// Channels implements Control: three of a ray's origin and three of its direction for
// each of the 8x8 pixels of a latent pixel.
func (*Path) Channels() int { return 6 * inference.Wan.Stride * inference.Wan.Stride }

// Conditioning implements Control for a video of frames pictures, height x width
// pixels: float32 [Channels(), f, height/8, width/8] with f = (frames-1)/4 + 1. Channel
// (6-component c, row i, column j of the 8x8 pixels) is number c*64 + i*8 + j. frames is
// 4n+1 and at most EffectiveFrames, the sizes are multiples of 8; it panics
// otherwise.
//
// As in the reference, the ray is in the axes of the latent frame before, and the six
// components are its origin and its direction, of length 1, not its moment.
func (p *Path) Conditioning(frames, height, width int) []float32 {
	stride := inference.Wan.Stride
	if height < 1 || width < 1 || height%stride != 0 || width%stride != 0 {
		panic(fmt.Sprintf("clip: a picture of %dx%d, expected multiples of %d", width, height, stride))
	}
	motion := p.Motion(frames)
	directions := directions(p.intrinsics[0], height, width)
	f, pixels := len(motion.Relative), height/stride*(width/stride)
	block := stride * stride
	out := make([]float32, p.Channels()*f*pixels)
	parallel(block, func(cell int) {
		d := directions[cell*pixels : (cell+1)*pixels]
		for t := range motion.Relative {
			m := &motion.Relative[t]
			for c := range 3 {
				at := ((c*block+cell)*f + t) * pixels
				origin, direction := out[at:at+pixels], out[at+3*block*f*pixels:][:pixels]
				for i, d := range d {
					origin[i] = m[c][3]
					direction[i] = float32(d[0]*m[c][0]) + float32(d[1]*m[c][1]) + float32(d[2]*m[c][2])
				}
			}
		}
	})
	return out
}

// directions returns the unit direction of the ray through the middle of every pixel in
// the camera's axes, ordered as the channels are: [8*8, height/8, width/8].
func directions(k Intrinsics, height, width int) [][3]float32 {
	scaleX, scaleY := float32(float64(width)/pictureWidth), float32(float64(height)/pictureHeight)
	fx, fy := float32(k[0])*scaleX, float32(k[1])*scaleY
	cx, cy := float32(k[2])*scaleX, float32(k[3])*scaleY
	d := make([][3]float32, 0, height*width)
	stride := inference.Wan.Stride
	for cell := range stride * stride {
		for row := cell / stride; row < height; row += stride {
			for col := cell % stride; col < width; col += stride {
				x := (float32(col) + 0.5 - cx) / fx
				y := (float32(row) + 0.5 - cy) / fy
				norm := float32(math.Sqrt(float64(float32(x*x) + float32(y*y) + 1)))
				d = append(d, [3]float32{x / norm, y / norm, 1 / norm})
			}
		}
	}
	return d
}

// parallel calls f(0), ..., f(n-1) from as many goroutines as there are processors.
func parallel(n int, f func(int)) {
	workers := min(n, runtime.GOMAXPROCS(0))
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			for i := w; i < n; i += workers {
				f(i)
			}
		})
	}
	group.Wait()
}
