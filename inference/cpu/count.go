package cpu

import (
	"context"

	"gimbal/inference/device"
)

// Count implements device.Device.
func (d *cpuDevice) Count() device.Counter {
	c := &count{workers: int64(len(d.workers))}
	c.encoder = encoder{dev: d, ctx: context.Background(), count: c}
	return c
}

// count adds up the memory of workers and temps that an encoder asks for.
type count struct {
	encoder
	workers, worker int64   // how many, and the bytes of each
	temporary       []int64 // bytes of each of the device's temps
}

func (c *count) temp(i int, bytes int64) {
	for len(c.temporary) <= i {
		c.temporary = append(c.temporary, 0)
	}
	c.temporary[i] = max(c.temporary[i], bytes)
}

// Scratch implements device.Counter.
func (c *count) Scratch() int64 {
	total := c.workers * c.worker
	for _, n := range c.temporary {
		total += n
	}
	return total
}

// Done implements device.Counter: workers and temps keep their memory.
func (c *count) Done() {}
