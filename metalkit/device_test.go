package metalkit

import (
	"testing"

	"gimbal/inference/device"
	"gimbal/inference/device/devicetest"
)

// productBound is devicetest's bound of products in F32. The kernels add in order: over
// 2600 products, of a convolution, the rounding of the sums walks to 5e-6 of their
// size in the worst of a thousand results.
const productBound = 8e-6

// computes are the types to multiply in, with the relative error that the
// reference cases are held to. That of F32 is the cases' own. Rounding both factors
// to F16, by up to u = 2^-11, or BF16, 2^-8, puts a product off by half u of its size;
// these errors are independent, so that those of some sixty products one upon the
// other, as many as the VAE has, add up to 4 u.
var computes = []struct {
	name  string
	dtype device.DType
	bound float64
}{
	{"F32", device.F32, 2e-5},
	{"F16", device.F16, 4.0 / (1 << 11)},
	{"BF16", device.BF16, 4.0 / (1 << 8)},
}

func TestDevice(t *testing.T) {
	t.Parallel()
	devicetest.Run(t, openTest(t, Options{}), devicetest.Options{Product: productBound, Parallel: true})
}

// TestLost takes a mapped file away, which fails the work of all devices: nothing runs beside it.
func TestLost(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) *gpu{
		"F32":   func(t *testing.T) *gpu { return openTest(t, Options{}) },
		"F16":   func(t *testing.T) *gpu { return openTest(t, Options{Compute: device.F16}) },
		"BF16":  func(t *testing.T) *gpu { return openTest(t, Options{Compute: device.BF16}) },
		"split": openSplit,
	} {
		t.Run(name, func(t *testing.T) {
			devicetest.Run(t, open(t), devicetest.Options{Product: productBound, Parts: []string{"Lost"}})
		})
	}
}

// openSplit opens a device whose command buffers are of little work.
func openSplit(t *testing.T) *gpu {
	t.Helper()
	dev := openTest(t, Options{})
	dev.limits.CommandBufferFLOPs, dev.bytes = 1, 1
	return dev
}

// TestNarrow multiplies in 16 bits. Rounding both factors of a product by up to u
// puts a sum of products off by half u of its size, and the worst of a million sums
// by five times that; where Clamp1 follows, the sum is up to seven times as large as the
// results that the error is counted in. So 20 u covers all.
func TestNarrow(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("the kernels are those of F32 but for the type")
	}
	for compute, u := range map[device.DType]float64{device.F16: 1.0 / (1 << 11), device.BF16: 1.0 / (1 << 8)} {
		t.Run(compute.String(), func(t *testing.T) {
			t.Parallel()
			devicetest.Run(t, openTest(t, Options{Compute: compute}), devicetest.Options{Product: 20 * u, Parallel: true})
		})
	}
}
