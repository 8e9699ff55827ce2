package video

import (
	"image"
	"math"
	"math/rand/v2"
)

// scene is a picture like a photograph's: smooth shapes and texture at every
// scale, in colour, for a camera to move over.
type scene struct{ octaves [][3][]float64 }

const latticeSide = 64

func newScene(seed uint64) *scene {
	rng := rand.New(rand.NewPCG(seed, 1))
	s := &scene{octaves: make([][3][]float64, 6)}
	for o := range s.octaves {
		for c := range 3 {
			s.octaves[o][c] = make([]float64, latticeSide*latticeSide)
			for i := range s.octaves[o][c] {
				s.octaves[o][c][i] = rng.Float64()*2 - 1
			}
		}
	}
	return s
}

func (s *scene) at(c int, x, y float64) float64 {
	sum, amplitude, size := 0.0, 0.5, 160.0
	for _, lattice := range s.octaves {
		sum += amplitude * bilinear(lattice[c], x/size, y/size)
		amplitude, size = amplitude*0.65, size/2
	}
	return sum
}

func bilinear(lattice []float64, x, y float64) float64 {
	x0, y0 := math.Floor(x), math.Floor(y)
	fx, fy := x-x0, y-y0
	v := func(i, j int) float64 {
		return lattice[(int(y0)+j)&(latticeSide-1)*latticeSide+(int(x0)+i)&(latticeSide-1)]
	}
	return (v(0, 0)*(1-fx)+v(1, 0)*fx)*(1-fy) + (v(0, 1)*(1-fx)+v(1, 1)*fx)*fy
}

// frame renders the scene as the model would give it, planes in [-1,1], seen by
// a camera that has moved for t frames.
func (s *scene) frame(width, height, t int) *image.RGBA {
	planes := [3][]float32{}
	for c := range planes {
		planes[c] = make([]float32, width*height)
		zoom := 1 - 0.004*float64(t)
		for i := range planes[c] {
			x, y := float64(i%width)*zoom+2.5*float64(t), float64(i/width)*zoom
			planes[c][i] = float32(0.9*s.at(0, x, y) + 0.4*s.at(c, x, y))
		}
	}
	img := image.NewRGBA(image.Rect(0, 0, width, height))
	FromFloat(img, planes[0], planes[1], planes[2])
	return img
}

func noise(width, height int, rng *rand.Rand) *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, width, height))
	for i := range img.Pix {
		img.Pix[i] = uint8(rng.Uint32()&1) * 255 // the worst case
		if i%4 == 3 {
			img.Pix[i] = 255
		}
	}
	return img
}

// toRGB is the inverse of toYCbCr, chroma interpolated between its places.
func toRGB(src *image.YCbCr) *image.RGBA {
	size := src.Rect.Size()
	dst := image.NewRGBA(src.Rect)
	chroma := func(plane []byte, x, y int) float64 {
		px, py := float64(x)/2, (float64(y)-0.5)/2
		x0, y0 := math.Floor(px), math.Floor(py)
		v := func(i, j float64) float64 {
			i, j = min(max(i, 0), float64(size.X/2-1)), min(max(j, 0), float64(size.Y/2-1))
			return float64(plane[int(j)*src.CStride+int(i)])
		}
		fx, fy := px-x0, py-y0
		return (v(x0, y0)*(1-fx)+v(x0+1, y0)*fx)*(1-fy) + (v(x0, y0+1)*(1-fx)+v(x0+1, y0+1)*fx)*fy
	}
	for y := range size.Y {
		for x := range size.X {
			l := (float64(src.Y[y*src.YStride+x]) - 16) / 219
			cb := (chroma(src.Cb, x, y) - 128) / 224
			cr := (chroma(src.Cr, x, y) - 128) / 224
			r, b := l+1.5748*cr, l+1.8556*cb
			g := (l - 0.2126*r - 0.0722*b) / 0.7152
			p := dst.Pix[y*dst.Stride+4*x:]
			for c, v := range []float64{r, g, b} {
				p[c] = uint8(math.Round(255 * min(max(v, 0), 1)))
			}
			p[3] = 255
		}
	}
	return dst
}

// psnr compares samples, in dB.
func psnr(got, want []byte) float64 {
	return decibel(squares(got, want) / float64(len(want)))
}

// psnrRGB compares pictures, alpha left out.
func psnrRGB(got, want *image.RGBA) float64 {
	return decibel(squares(got.Pix, want.Pix) / float64(len(want.Pix)/4*3))
}

func squares(got, want []byte) (sum float64) {
	for i := range want {
		d := float64(got[i]) - float64(want[i])
		sum += d * d
	}
	return sum
}

func decibel(meanSquare float64) float64 { return 10 * math.Log10(255*255/(meanSquare+1e-9)) }
