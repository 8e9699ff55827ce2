package metalkit

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"gimbal/inference/device"
)

// Options says how a device computes.
type Options struct {
	// Compute is the type in which Linear, Attention and Conv multiply: F32, F16
	// or BF16. 0 stands for F32.
	Compute device.DType
	// MemoryLimit is the most bytes that Alloc hands out; 0 stands for the
	// working set that the system recommends.
	MemoryLimit int64
	// Tuning is the folder that keeps which variants of the kernels were the fastest
	// on this machine; without one they are timed again in every process.
	Tuning string
	// Log takes what cannot be kept there; nil for slog.Default.
	Log *slog.Logger
}

// gpu is the device over any driver.
type gpu struct {
	drv       driver
	limits    limits
	limit     int64
	compute   kernelNames
	cores     int           // of the GPU
	cache     int64         // bytes that its last cache keeps of what one operation reads
	tuner     *tuner        // nil: the fixed variants
	turn      chan struct{} // holds one token while a submission runs
	enc       encoder       // of the submission that has the turn
	pipelines map[specialisation]int32

	mu        sync.Mutex // guards what follows
	buffers   map[*buffer]bool
	pool      pool
	allocated int64
	peak      int64
	closed    bool
}

func open(drv driver, opts Options) (device.Device, error) {
	names, ok := kernelsFor(opts.Compute)
	if !ok || opts.MemoryLimit < 0 {
		drv.close()
		return nil, fmt.Errorf("metalkit: compute in %v with %d bytes: want F32, F16 or BF16, and 0 or more bytes", opts.Compute, opts.MemoryLimit)
	}
	d := &gpu{
		drv:       drv,
		limits:    drv.limits(),
		limit:     opts.MemoryLimit,
		compute:   names,
		turn:      make(chan struct{}, 1),
		pipelines: map[specialisation]int32{},
		buffers:   map[*buffer]bool{},
		pool:      pool{free: map[int64][]memory{}},
	}
	if d.limit == 0 {
		d.limit = d.limits.workingSet
	}
	d.enc.dev = d
	d.cores, d.cache = sizesOf(d.limits.name)
	if d.limits.timed {
		d.tuner = openTuner(opts, d.limits)
	}
	return d, nil
}

func (d *gpu) Info() device.Info {
	d.mu.Lock()
	defer d.mu.Unlock()
	return device.Info{Name: d.limits.name, Unified: true, WorkingSet: d.limit, Allocated: d.allocated, Peak: d.peak}
}

// Do records f and runs what it recorded, unless recording failed: then nothing
// has run.
func (d *gpu) Do(ctx context.Context, label string, f func(device.Encoder)) error {
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
	e := &d.enc
	e.reset(ctx)
	defer d.tuner.save()
	defer e.releaseTemps()
	f(e)
	err := e.err
	if err == nil {
		err = d.submit(ctx, label, e)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", label, err)
	}
	return nil
}

// submit runs the recorded calls, in as many runs as the limit on their work asks.
func (d *gpu) submit(ctx context.Context, label string, e *encoder) error {
	for first := 0; first < len(e.calls); {
		if err := ctx.Err(); err != nil {
			return err
		}
		last, work := first, 0.0
		for last < len(e.calls) && (last == first || d.limits.work == 0 || work+e.notes[last].work <= d.limits.work) {
			work += e.notes[last].work
			last++
		}
		if _, err := d.drv.run(ctx, label, e.calls[first:last]); err != nil {
			return err
		}
		first = last
	}
	return ctx.Err()
}

func (d *gpu) open() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return fmt.Errorf("metalkit: the device is closed: %w", device.ErrDeviceLost)
	}
	return nil
}

// Close waits for the running submission and gives back all memory, that of
// buffers which were not released included.
func (d *gpu) Close() error {
	d.turn <- struct{}{}
	defer func() { <-d.turn }()
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return nil
	}
	d.closed = true
	left := make([]*buffer, 0, len(d.buffers))
	for b := range d.buffers {
		left = append(left, b)
	}
	d.mu.Unlock()
	for _, b := range left {
		b.Release()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pool.drain(d.drv)
	d.drv.close()
	return nil
}
