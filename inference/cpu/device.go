package cpu

// #include "kernels.h"
import "C"

import (
	"context"
	"fmt"
	"runtime"
	"strconv"

	"gimbal/inference/device"
	"gimbal/inference/device/host"
)

// Options says how much of the machine a device may use.
type Options struct {
	Threads     int   // goroutines that compute at a time; 0 stands for one per core
	MemoryLimit int64 // bytes that Alloc may hand out; 0 stands for the machine's memory
}

// Open returns the processor as a device.
func Open(opts Options) (device.Device, error) {
	if opts.Threads < 0 || opts.MemoryLimit < 0 {
		return nil, fmt.Errorf("cpu: %d threads, %d bytes of memory: want 0 or more", opts.Threads, opts.MemoryLimit)
	}
	if opts.Threads == 0 {
		opts.Threads = runtime.GOMAXPROCS(0)
	}
	if opts.MemoryLimit == 0 {
		opts.MemoryLimit = int64(C.gb_physical_memory())
	}
	blasThreads(1)
	d := &cpuDevice{Device: host.New("cpu", opts.MemoryLimit, func(m memory, counted int64) {
		if counted > 0 {
			m.free()
		}
	})}
	for range opts.Threads {
		d.workers = append(d.workers, &worker{})
	}
	return d, nil
}

type cpuDevice struct {
	*host.Device[memory]
	workers []*worker // used by the submission that has the turn
	temps   []memory  // likewise
}

func (d *cpuDevice) Info() device.Info {
	info := device.Info{Name: fmt.Sprintf("CPU (%s, %d threads)", runtime.GOARCH, len(d.workers)), Unified: true, WorkingSet: d.Limit()}
	info.Allocated, info.Peak = d.Held()
	return info
}

// Describe implements device.Device.
func (d *cpuDevice) Describe() []device.Property {
	return []device.Property{
		{Name: "threads", Value: strconv.Itoa(len(d.workers))},
		{Name: "BLAS", Value: blasName()},
		{Name: "compute types", Value: "F32"},
	}
}

// Do runs each operation when it is recorded.
func (d *cpuDevice) Do(ctx context.Context, label string, f func(device.Encoder)) error {
	return d.Submit(ctx, label, func() error {
		e := &encoder{dev: d, ctx: ctx}
		f(e)
		return e.err
	})
}

// DoTimed is Do: the processor has no clock of its own.
func (d *cpuDevice) DoTimed(ctx context.Context, label string, f func(device.Encoder), _ func(device.Launch)) error {
	return d.Do(ctx, label, f)
}

// Close waits for the running submission and gives back all memory, that of
// buffers which were not released included.
func (d *cpuDevice) Close() error {
	d.Shut(func() {
		for _, w := range d.workers {
			w.scratch.free()
		}
		for i := range d.temps {
			d.temps[i].free()
		}
	})
	return nil
}
