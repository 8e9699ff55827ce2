package profile

import (
	"context"
	"time"

	"gimbal/inference/device"
)

// Measure takes the peak of a device from the best of a few products and copies on
// it. It takes a second or less.
func Measure(ctx context.Context, dev device.Device) (Peak, error) {
	const n, long = 1024, 8 << 20
	peak := Peak{Source: "the best of a few products and copies on this device"}
	var mats []device.Mat
	defer func() {
		for _, m := range mats {
			m.Buf.Release()
		}
	}()
	for _, cols := range []int{n * n, n * n, n * n, long, long} {
		b, err := dev.Alloc(device.Desc{Label: "measure", DType: device.F32, Shape: []int{1, cols}})
		if err != nil {
			return Peak{}, err
		}
		mats = append(mats, device.AsMat(b))
	}
	square := func(i int) device.Mat {
		return device.Mat{Buf: mats[i].Buf, DType: device.F32, Rows: n, Cols: n, Stride: n}
	}
	product := device.Linear{X: square(0), W: device.DenseWeight(square(1)), Y: square(2)}
	seconds, err := best(ctx, dev, product)
	if err != nil {
		return Peak{}, err
	}
	peak.FLOPS = float64(product.Cost().FLOPs) / seconds
	move := device.Move{X: mats[3], Y: mats[4]}
	if seconds, err = best(ctx, dev, move); err != nil {
		return Peak{}, err
	}
	peak.Bandwidth = float64(move.Cost().Bytes) / seconds
	return peak, nil
}

// best returns the least seconds of a few runs of op.
func best(ctx context.Context, dev device.Device, op device.Op) (float64, error) {
	least := time.Duration(1<<63 - 1)
	for range 6 {
		start := time.Now()
		if err := dev.Do(ctx, "measure", func(e device.Encoder) { e.Record(op) }); err != nil {
			return 0, err
		}
		least = min(least, time.Since(start))
	}
	return max(least, 1).Seconds(), nil
}
