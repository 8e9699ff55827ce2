package metalkit

import (
	"context"
	"testing"

	"gimbal/inference/device"
	"gimbal/metalkit/internal/driver"
)

// openOver returns the device over drv, which closes with the test.
func openOver(tb testing.TB, drv driver.Driver, opts Options) *gpu {
	tb.Helper()
	dev, err := open(drv, opts)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { dev.Close() })
	return dev
}

// observed is a device that tells of every plan that was recorded, before it runs.
type observed struct {
	*gpu
	saw func(label string, plan []planned)
}

func (o observed) Do(ctx context.Context, label string, f func(device.Encoder)) error {
	return o.DoTimed(ctx, label, f, nil)
}

func (o observed) DoTimed(ctx context.Context, label string, f func(device.Encoder), ran func(device.Launch)) error {
	return o.gpu.DoTimed(ctx, label, func(e device.Encoder) {
		if f(e); o.enc.err == nil {
			o.saw(label, o.enc.plan)
		}
	}, ran)
}
