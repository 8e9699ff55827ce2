package metalkit

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"gimbal/inference/device"
	"gimbal/metalkit/internal/driver"
	"gimbal/metalkit/internal/driver/apple"
)

// Open returns the device over the GPU of an Apple Silicon Mac with macOS 14 or
// later, after a product that must come out right. Elsewhere it fails with
// device.ErrUnsupported and says why.
func Open(opts Options) (device.Device, error) {
	drv, err := apple.Open()
	if drv == nil {
		return nil, fmt.Errorf("metalkit: %w", err)
	}
	return OpenDriver(drv, opts)
}

// OpenDriver is Open over another driver of package metalkit/internal/driver: it is for
// what is below metalkit. The device closes the driver, also where it fails.
func OpenDriver(drv driver.Driver, opts Options) (device.Device, error) {
	d, err := open(drv, opts)
	if err != nil {
		return nil, err
	}
	choices := d.choices // nothing is timed for the product
	d.choices = nil
	if err := selfTest(d); err != nil {
		return nil, fmt.Errorf("metalkit: the GPU is not used: %w", errors.Join(err, d.Close()))
	}
	d.choices = choices
	return d, nil
}

// selfTest multiplies small whole numbers, which every type holds exactly, so that a
// compiler or a GPU that does not do as the kernels expect is noticed at once.
func selfTest(dev device.Device) error {
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
		return errors.New("it multiplies wrongly; please report this with what 'gimbal doctor' packs")
	}
	return nil
}

// multiplied returns x·Wᵀ, of x [m, k] and w [n, k].
func multiplied(dev device.Device, x, w []float32, m, n, k int) ([]float32, error) {
	ctx := context.Background()
	var views [3]device.Mat
	for i, shape := range [][]int{{m, k}, {n, k}, {m, n}} {
		b, err := dev.Alloc(device.Desc{Label: "self-test", DType: device.F32, Shape: shape})
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
		dev.Do(ctx, "self-test", func(e device.Encoder) {
			e.Record(device.Linear{X: views[0], W: device.DenseWeight(views[1]), Y: views[2]})
		}),
		dev.Read(ctx, device.Bytes(y), views[2].Buf))
}
