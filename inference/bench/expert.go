package bench

import (
	"math"
	"strings"

	"gimbal/inference/device"
	"gimbal/inference/weights"
)

// shapes are those of an expert of d's sizes that reads text contexts of text channels.
func (d Dims) shapes(text int) weights.Dims {
	return weights.Dims{Dim: d.Dim, FFN: d.FFN, Heads: d.Heads, Layers: d.Layers, Text: text}
}

// expertConfig is the synthetic expert's config.json.
func (d Dims) expertConfig() weights.WanConfig {
	config, _ := weights.ExpertTensors(d.shapes(0))
	return config
}

// expert adds an expert with a camera branch that reads text contexts of text channels. Its
// weights keep the size of what goes through them.
func (t *tensors) expert(d Dims, text int) {
	_, list := weights.ExpertTensors(d.shapes(text))
	for _, x := range list {
		mean, deviation := 0.0, 0.02 // of a bias
		switch {
		case strings.HasSuffix(x.Name, "modulation"), strings.HasSuffix(x.Name, "norm3.bias"):
			deviation = 0.1
		case strings.HasSuffix(x.Name, ".weight") && len(x.Shape) == 1:
			mean, deviation = 1, 0.1
		case strings.HasSuffix(x.Name, ".weight"):
			deviation = 1 / math.Sqrt(float64(device.Desc{Shape: x.Shape[1:]}.Len()))
		}
		t.add(x.Name, x.DType, mean, deviation, x.Shape...)
	}
}
