package bench

import (
	"fmt"
	"math"

	"gimbal/inference"
	"gimbal/inference/weights"
)

// RelL2 returns |got - want| / |want|, infinite where their lengths differ.
func RelL2(got, want []float32) float64 {
	if len(got) != len(want) {
		return math.Inf(1)
	}
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

// PSNR returns the peak signal-to-noise ratio of videos in [-1, 1] in dB, minus infinity where
// there is nothing to compare.
func PSNR(got, want []float32) float64 {
	if len(got) != len(want) || len(want) == 0 {
		return math.Inf(-1)
	}
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

// ReadTensors reads tensors of a file, such as a run's dump, as float32.
func ReadTensors(path string, names ...string) (map[string][]float32, error) {
	store, err := weights.Open(path)
	if err != nil {
		return nil, err
	}
	defer store.Close()
	all := map[string][]float32{}
	for _, name := range names {
		t, err := store.Tensor(name)
		if err == nil {
			all[name], err = t.Float32s()
		}
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

func stepText(e inference.Step) string {
	return fmt.Sprintf("step %d of %d: %.2f s", e.Index, e.Total, e.Seconds)
}
