package bench

import (
	"context"
	"strings"
	"time"

	"gimbal/inference/device"
)

// Meter is a device that counts the seconds spent in transformer blocks.
type Meter struct {
	device.Device
	Blocks float64
}

// Do times the submissions that package wan labels with a block's name alone.
func (m *Meter) Do(ctx context.Context, label string, f func(device.Encoder)) error {
	began := time.Now()
	err := m.Device.Do(ctx, label, f)
	if number, ok := strings.CutPrefix(label, "blocks."); ok && !strings.Contains(number, ".") {
		m.Blocks += time.Since(began).Seconds()
	}
	return err
}
