package bench

import (
	"fmt"
	"math"

	"gimbal/inference"
)

// RelL2 returns |got - want| / |want|.
func RelL2(got, want []float32) float64 {
	var difference, size float64
	for i, w := range want {
		d := float64(got[i]) - float64(w)
		difference += d * d
		size += float64(w) * float64(w)
	}
	return math.Sqrt(difference / size)
}

// maxPSNR stands for the PSNR of equal videos, which has no bound.
const maxPSNR = 99

// psnr returns the peak signal-to-noise ratio of videos in [-1, 1] in dB.
func psnr(got, want []float32) float64 {
	var sum float64
	for i, w := range want {
		d := float64(got[i]) - float64(w)
		sum += d * d
	}
	if sum == 0 {
		return maxPSNR
	}
	return 10 * math.Log10(4*float64(len(want))/sum)
}

func stepText(e inference.Step) string {
	return fmt.Sprintf("step %d of %d: %.2f s", e.Index, e.Total, e.Seconds)
}
