package clip

import (
	"fmt"
	"math"
	"runtime"
	"sync"

	"gimbal/inference"
)

// Conditioning implements Control: float32 [channels, To-From, height/8, width/8]. Channel
// (6-component c, row i, column j of the 8x8 pixels) is number c*64 + i*8 + j of a camera
// model. An act model has the three components of the direction, and then the keys W, A, S
// and D of picture 4f for latent frame f.
//
// As in the reference, the ray is in the axes of the latent frame before, and the six
// components are its origin and its direction, of length 1, not its moment.
func (p *Path) Conditioning(channels int, v View) []float32 {
	stride := inference.Wan.Stride
	if v.Height < 1 || v.Width < 1 || v.Height%stride != 0 || v.Width%stride != 0 {
		panic(fmt.Sprintf("clip: a picture of %dx%d, expected multiples of %d", v.Width, v.Height, stride))
	}
	if err := p.Check(channels, v.Frames); err != nil {
		panic("clip: " + err.Error())
	}
	steps := p.motions(v)
	frames, pixels := len(steps), v.Height/stride*(v.Width/stride)
	out := make([]float32, channels*frames*pixels)
	plane := func(component, cell, f int) []float32 {
		return out[((component*cells+cell)*frames+f)*pixels:][:pixels]
	}
	intrinsics := p.latentIntrinsics(v)
	first := directions(intrinsics[v.From], v.Height, v.Width)
	parallel(frames, func(f int) {
		d := first
		if k := intrinsics[v.From+f]; k != intrinsics[v.From] {
			d = directions(k, v.Height, v.Width)
		}
		for cell := range cells {
			d := d[cell*pixels : (cell+1)*pixels]
			if channels == ActChannels {
				directRays(d, &steps[f], func(c int) []float32 { return plane(c, cell, f) })
				for key, much := range p.keys[(v.From+f)*inference.Wan.FrameStride].Move {
					set(plane(3+key, cell, f), float32(much))
				}
				continue
			}
			for c := range 3 {
				set(plane(c, cell, f), steps[f][c][3])
			}
			directRays(d, &steps[f], func(c int) []float32 { return plane(3+c, cell, f) })
		}
	})
	return out
}

// directRays writes the components of directions d after a motion to the planes to(0),
// to(1) and to(2).
func directRays(d [][3]float32, m *Matrix, to func(c int) []float32) {
	for c := range 3 {
		plane := to(c)
		for i, d := range d {
			plane[i] = float32(d[0]*m[c][0]) + float32(d[1]*m[c][1]) + float32(d[2]*m[c][2])
		}
	}
}

func set(values []float32, v float32) {
	for i := range values {
		values[i] = v
	}
}

// scaled are intrinsics in float32, in pixels of a picture of another size.
type scaled [4]float32

// latentIntrinsics returns the intrinsics of every latent frame for a picture of the view's
// size: of every one the first, as the reference does, or those between the frames' where
// the model is told them all.
func (p *Path) latentIntrinsics(v View) []scaled {
	scaleX, scaleY := float32(float64(v.Width)/pictureWidth), float32(float64(v.Height)/pictureHeight)
	to := func(k Intrinsics) scaled {
		return scaled{float32(k[0]) * scaleX, float32(k[1]) * scaleY, float32(k[2]) * scaleX, float32(k[3]) * scaleY}
	}
	all := make([]scaled, v.LatentFrames)
	for f, t := range spread(v.Frames, v.LatentFrames) {
		if all[f] = to(p.intrinsics[0]); !p.tellsZoom() {
			continue
		}
		i := int(t)
		a, b := to(p.intrinsics[i]), to(p.intrinsics[min(i+1, v.Frames-1)])
		for j := range a {
			all[f][j] = float32(float64(b[j]-a[j])*(t-float64(i)) + float64(a[j]))
		}
	}
	return all
}

// directions returns the unit direction of the ray through the middle of every pixel in
// the camera's axes, ordered as the channels are: [8*8, height/8, width/8].
func directions(k scaled, height, width int) [][3]float32 {
	fx, fy, cx, cy := k[0], k[1], k[2], k[3]
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
