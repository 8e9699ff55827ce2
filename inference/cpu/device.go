package cpu

// #include "kernels.h"
import "C"

import (
	"context"
	"fmt"
	"runtime"
	"sync"

	"gimbal/inference/device"
)

// Options says how much of the machine a device may use.
type Options struct {
	Threads     int   // goroutines that compute at a time; 0 stands for one a core
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
	d := &cpuDevice{limit: opts.MemoryLimit, turn: make(chan struct{}, 1), buffers: map[*buffer]bool{}}
	for range opts.Threads {
		d.workers = append(d.workers, &worker{})
	}
	return d, nil
}

type cpuDevice struct {
	limit   int64
	workers []*worker     // used by the submission that has the turn
	temps   []memory      // likewise
	turn    chan struct{} // holds one token while a submission runs

	mu        sync.Mutex // guards what follows
	buffers   map[*buffer]bool
	allocated int64
	peak      int64
	closed    bool
}

func (d *cpuDevice) Info() device.Info {
	d.mu.Lock()
	defer d.mu.Unlock()
	return device.Info{
		Name:       fmt.Sprintf("CPU (%s, %d threads)", runtime.GOARCH, len(d.workers)),
		Unified:    true,
		WorkingSet: d.limit,
		Allocated:  d.allocated,
		Peak:       d.peak,
	}
}

// Do runs each operation when it is recorded.
func (d *cpuDevice) Do(ctx context.Context, label string, f func(device.Encoder)) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", label, err)
	}
	select {
	case d.turn <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", label, ctx.Err())
	}
	defer func() { <-d.turn }()
	if err := d.open(); err != nil {
		return fmt.Errorf("%s: %w", label, err)
	}
	e := &encoder{dev: d, ctx: ctx}
	f(e)
	if e.err != nil {
		return fmt.Errorf("%s: %w", label, e.err)
	}
	return nil
}

func (d *cpuDevice) open() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return fmt.Errorf("cpu: the device is closed: %w", device.ErrDeviceLost)
	}
	return nil
}

// Close waits for the running submission and gives back all memory, that of
// buffers which were not released included.
func (d *cpuDevice) Close() error {
	d.turn <- struct{}{}
	defer func() { <-d.turn }()
	d.mu.Lock()
	left := make([]*buffer, 0, len(d.buffers))
	for b := range d.buffers {
		left = append(left, b)
	}
	d.closed = true
	d.mu.Unlock()
	for _, b := range left {
		b.Release()
	}
	for _, w := range d.workers {
		w.scratch.free()
	}
	for i := range d.temps {
		d.temps[i].free()
	}
	return nil
}
