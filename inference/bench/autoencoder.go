package bench

import (
	"math"
	"strings"

	"gimbal/inference/device"
	"gimbal/inference/weights"
)

// vae adds a VAE with Wan 2.1's layers, F32, whose first level has base channels.
func (t *tensors) vae(base int) {
	for _, x := range weights.VAETensors(weights.Dims{VAE: base}) {
		mean, deviation := 0.0, 0.1
		switch {
		case strings.HasSuffix(x.Name, ".weight"):
			fan := device.Desc{Shape: x.Shape[1:]}.Len()
			deviation = 1 / math.Sqrt(float64(fan))
		case strings.HasSuffix(x.Name, ".gamma"):
			mean = 1
		}
		t.add(x.Name, x.DType, mean, deviation, x.Shape...)
	}
}
