package clip

import (
	"fmt"
	"math"

	"gimbal/inference"
)

// Size is the size of a video and of its latent.
type Size struct {
	Width, Height             int // pixels
	LatentWidth, LatentHeight int
}

// Fit returns the size of a video for a picture of width x height pixels: of the
// picture's aspect and at most maxArea pixels, rounded down to whole patches in each
// direction, as the reference does.
func Fit(width, height, maxArea int) (Size, error) {
	if width < 1 || height < 1 || maxArea < 1 {
		return Size{}, fmt.Errorf("no video size for a picture of %dx%d and an area of %d pixels", width, height, maxArea)
	}
	aspect := float64(height) / float64(width)
	s := Size{
		LatentHeight: wholePatches(math.Sqrt(float64(maxArea) * aspect)),
		LatentWidth:  wholePatches(math.Sqrt(float64(maxArea) / aspect)),
	}
	stride := inference.Wan.Stride
	s.Width, s.Height = s.LatentWidth*stride, s.LatentHeight*stride
	if s.Width == 0 || s.Height == 0 {
		return Size{}, fmt.Errorf("found a picture of %dx%d pixels, which in an area of %d gives a video of %dx%d, expected sides of at least %d: crop the picture or enlarge the area",
			width, height, maxArea, s.Width, s.Height, stride*inference.Wan.Patch)
	}
	return s, nil
}

// wholePatches returns the latent pixels along a side, a multiple of the patch.
func wholePatches(pixels float64) int {
	g := inference.Wan
	return int(math.Floor(pixels/float64(g.Stride)/float64(g.Patch))) * g.Patch
}
