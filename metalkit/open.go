package metalkit

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"gimbal/inference/device"
)

// Open returns the device over the GPU of an Apple Silicon Mac with macOS 14 or
// later, after a product that must come out right. Elsewhere it fails with
// device.ErrUnsupported and says why.
func Open(opts Options) (device.Device, error) {
	drv, err := newDriver()
	if drv == nil {
		return nil, fmt.Errorf("metalkit: %w", err)
	}
	return openTried(drv, opts)
}

// openTried is open with the product.
func openTried(drv driver, opts Options) (device.Device, error) {
	dev, err := open(drv, opts)
	if err != nil {
		return nil, err
	}
	if err := dev.(*gpu).untuned(tryOut); err != nil {
		return nil, fmt.Errorf("metalkit: the GPU is not used: %w", errors.Join(err, dev.Close()))
	}
	return dev, nil
}

// untuned calls f while nothing is timed.
func (d *gpu) untuned(f func(device.Device) error) error {
	t := d.tuner
	d.tuner = nil
	defer func() { d.tuner = t }()
	return f(d)
}

// tryOut multiplies small whole numbers, which every type holds exactly, so that a
// compiler or a GPU that does not do as the kernels expect is noticed at once.
func tryOut(dev device.Device) error {
	const m, n, k = 33, 40, 72
	x, w, want := make([]float32, m*k), make([]float32, n*k), make([]float32, m*n)
	for i := range x {
		x[i] = float32(i*7%13 - 6)
	}
	for i := range w {
		w[i] = float32(i*5%11 - 5)
	}
	for i := range want {
		for j := range k {
			want[i] += x[i/n*k+j] * w[i%n*k+j]
		}
	}
	got, err := multiplied(dev, x, w, m, n, k)
	if err != nil {
		return err
	}
	if !slices.Equal(got, want) {
		return errors.New("it multiplies wrongly; please report this with what 'gimbal devices' prints")
	}
	return nil
}

// multiplied returns x·Wᵀ, of x [m, k] and w [n, k].
func multiplied(dev device.Device, x, w []float32, m, n, k int) ([]float32, error) {
	ctx := context.Background()
	var views [3]device.Mat
	for i, shape := range [][]int{{m, k}, {n, k}, {m, n}} {
		b, err := dev.Alloc(device.Desc{Label: "try-out", DType: device.F32, Shape: shape})
		if err != nil {
			return nil, err
		}
		defer b.Release()
		views[i] = device.AsMat(b)
	}
	y := make([]float32, m*n)
	return y, errors.Join(
		dev.Write(ctx, views[0].Buf, device.Bytes(x)),
		dev.Write(ctx, views[1].Buf, device.Bytes(w)),
		dev.Do(ctx, "try-out", func(e device.Encoder) {
			e.Record(device.Linear{X: views[0], W: device.DenseWeight(views[1]), Y: views[2]})
		}),
		dev.Read(ctx, device.Bytes(y), views[2].Buf))
}
