package bench

import (
	"fmt"
	"math"

	"gimbal/inference/device"
)

// autoencoder collects the tensors of a VAE with Wan 2.1's layers, F32, whose
// levels have 1, 2, 4 and 4 times a number of channels.
type autoencoder struct {
	*tensors
	section string // of the layers that next names
	layers  int
}

// levelBlocks is the number of residual blocks of a level of the encoder.
const levelBlocks = 2

// vae adds a VAE whose first level has base channels.
func (t *tensors) vae(base int) {
	dims := [...]int{base, 2 * base, 4 * base, 4 * base}
	inTime := [...]bool{false, true, true} // which reductions reduce time too
	a := &autoencoder{tensors: t, section: "encoder.downsamples."}
	a.conv("encoder.conv1", base, 3, 3, 3, 3)
	c := base
	for level, out := range dims {
		for range levelBlocks {
			c = a.residual(a.next(), c, out)
		}
		if level < len(inTime) {
			a.resample(c, c, c, inTime[level])
		}
	}
	a.ends("encoder", c, c, 2*outDim)
	a.conv("conv1", 2*outDim, 2*outDim, 1, 1, 1)
	a.conv("conv2", outDim, outDim, 1, 1, 1)

	a.section, a.layers = "decoder.upsamples.", 0
	a.conv("decoder.conv1", c, outDim, 3, 3, 3)
	for level := range dims {
		for range levelBlocks + 1 {
			c = a.residual(a.next(), c, dims[len(dims)-1-level])
		}
		if level < len(inTime) {
			a.resample(c/2, c, 2*c, inTime[len(inTime)-1-level])
			c /= 2
		}
	}
	a.ends("decoder", dims[len(dims)-1], c, 3)
}

// resample adds a change of size from c channels to out, in space, and, with time,
// in time through a convolution to stretched channels.
func (a *autoencoder) resample(out, c, stretched int, time bool) {
	name := a.next()
	a.conv(name+".resample.1", out, c, 3, 3)
	if time {
		a.conv(name+".time_conv", stretched, c, 3, 1, 1)
	}
}

func (a *autoencoder) next() string {
	a.layers++
	return fmt.Sprint(a.section, a.layers-1)
}

func (a *autoencoder) conv(name string, out, in int, kernel ...int) {
	shape := append([]int{out, in}, kernel...)
	fan := device.Desc{Shape: shape[1:]}.Len()
	a.add(name+".weight", device.F32, 0, 1/math.Sqrt(float64(fan)), shape...)
	a.add(name+".bias", device.F32, 0, 0.1, out)
}

func (a *autoencoder) residual(name string, in, out int) int {
	a.add(name+".residual.0.gamma", device.F32, 1, 0.1, in, 1, 1, 1)
	a.conv(name+".residual.2", out, in, 3, 3, 3)
	a.add(name+".residual.3.gamma", device.F32, 1, 0.1, out, 1, 1, 1)
	a.conv(name+".residual.6", out, out, 3, 3, 3)
	if in != out {
		a.conv(name+".shortcut", out, in, 1, 1, 1)
	}
	return out
}

// ends adds the middle, of c channels, and the head, from last channels to out.
func (a *autoencoder) ends(half string, c, last, out int) {
	middle := half + ".middle."
	a.residual(middle+"0", c, c)
	a.add(middle+"1.norm.gamma", device.F32, 1, 0.1, c, 1, 1)
	a.conv(middle+"1.to_qkv", 3*c, c, 1, 1)
	a.conv(middle+"1.proj", c, c, 1, 1)
	a.residual(middle+"2", c, c)
	a.add(half+".head.0.gamma", device.F32, 1, 0.1, last, 1, 1, 1)
	a.conv(half+".head.2", out, last, 3, 3, 3)
}
