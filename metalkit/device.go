package metalkit

import (
	"context"
	"fmt"
	"log/slog"

	"gimbal/inference/device"
	"gimbal/inference/device/host"
)

// Options says how a device computes.
type Options struct {
	// Compute is the type in which Linear, Attention and Conv multiply: F32, F16
	// or BF16. 0 stands for F32.
	Compute device.DType
	// HighWatermark is the share of the working set that the system recommends beyond
	// which Alloc fails with device.ErrOutOfMemory, as PyTorch's
	// PYTORCH_MPS_HIGH_WATERMARK_RATIO: 0 stands for 1, +Inf for no limit.
	HighWatermark float64
	// MemoryLimit is the most bytes that Alloc hands out, instead; 0 for none.
	MemoryLimit int64
	// Capture is the .gputrace file to which the first submission with the label
	// CaptureLabel is captured, for Xcode; nothing for none.
	Capture, CaptureLabel string
	// Tuning is the folder that keeps which variants of the kernels were the fastest
	// on this machine; without one they are timed again in every process.
	Tuning string
	// Log takes what cannot be kept there; nil for slog.Default.
	Log *slog.Logger
}

// check checks all but the type.
func (o Options) check() error {
	if o.MemoryLimit < 0 || !(o.HighWatermark >= 0) {
		return fmt.Errorf("a high watermark of %g and a limit of %d bytes: want 0 or more", o.HighWatermark, o.MemoryLimit)
	}
	return checkCapture(o.Capture)
}

// limit returns the most bytes that Alloc hands out, given the working set.
func (o Options) limit(workingSet int64) int64 {
	switch {
	case o.MemoryLimit > 0:
		return o.MemoryLimit
	case o.HighWatermark == 0:
		return workingSet
	}
	const most = 1 << 62 // bytes; never reached
	return int64(min(most, o.HighWatermark*float64(workingSet)))
}

// gpu is the device over any driver.
type gpu struct {
	*host.Device[memory]
	drv       driver
	limits    limits
	compute   kernelNames
	chip      Chip
	matmul    bool    // the driver has a product of its own in the type of compute
	cache     int64   // bytes that the chip keeps of what one operation reads
	bytes     float64 // moved by one run, as limits.work; 0 for no limit
	tuner     *tuner  // nil: the fixed variants
	favoured  favoured
	enc       encoder // of the submission that has the turn
	pipelines map[specialisation]int32
	pool      pool
	observe   func(label string, notes []note) // of every submission, if there is one
	capture   capture
}

func open(drv driver, opts Options) (device.Device, error) {
	names, ok := kernelsFor(opts.Compute)
	err := opts.check()
	if !ok {
		err = fmt.Errorf("compute in %v: want F32, F16 or BF16", opts.Compute)
	}
	if err != nil {
		drv.close()
		return nil, fmt.Errorf("metalkit: %w", err)
	}
	d := &gpu{
		drv:       drv,
		limits:    drv.limits(),
		compute:   names,
		pipelines: map[specialisation]int32{},
	}
	limit := opts.limit(d.limits.workingSet)
	d.Device = host.New("metalkit", limit, d.giveBack)
	d.pool = pool{free: map[int64][]memory{}, most: min(limit, d.limits.workingSet) / 8}
	d.capture = capture{file: opts.Capture, label: opts.CaptureLabel}
	d.enc.dev = d
	d.chip = chipOf(d.limits.name)
	d.cache = d.chip.kept()
	if d.limits.work > 0 && d.chip.MHz > 0 {
		d.limits.work, d.bytes = secondsOfRun*d.chip.FLOPS(), secondsOfRun*d.chip.Bandwidth
	}
	product := constants{a: names.dtype, b: names.dtype, y: uint32(device.F32)}
	if matmulTypes(product) {
		_, err := drv.pipeline(specialisation{kernel: matmulKernel, constants: product, threads: 1})
		d.matmul = err == nil
	}
	d.favoured = noFavourites
	if d.limits.timed {
		d.tuner = openTuner(opts, d.limits)
	}
	return d, nil
}

func (d *gpu) Info() device.Info {
	_, far := d.drv.(discrete)
	info := device.Info{Name: d.limits.name, Unified: !far, WorkingSet: min(d.Limit(), d.limits.workingSet)}
	info.Allocated, info.Peak = d.Held()
	if t := device.DType(d.compute.dtype); t != device.F32 {
		info.ComputeType = t
	}
	return info
}

// Do records f and runs what it recorded, unless recording failed: then nothing
// has run.
func (d *gpu) Do(ctx context.Context, label string, f func(device.Encoder)) error {
	return d.DoTimed(ctx, label, f, nil)
}

// DoTimed implements device.Device: each kernel is a command buffer of its own, whose
// seconds on the GPU are those that its start takes, too.
func (d *gpu) DoTimed(ctx context.Context, label string, f func(device.Encoder), ran func(device.Launch)) error {
	return d.Submit(ctx, label, func() error {
		e := &d.enc
		e.reset(ctx)
		defer d.tuner.save()
		if f(e); e.err != nil {
			return e.err
		}
		return d.capture.around(d.drv, label, func() error { return d.submit(ctx, label, e, ran) })
	})
}

// submit runs the recorded calls, in as many runs as the limit on their work asks, or
// one by one where ran is to be told of each.
func (d *gpu) submit(ctx context.Context, label string, e *encoder, ran func(device.Launch)) error {
	if d.observe != nil {
		d.observe(label, e.notes)
	}
	give, err := e.borrow()
	if err != nil {
		return err
	}
	defer give()
	for first := 0; first < len(e.calls); {
		if err := ctx.Err(); err != nil {
			return err
		}
		last := first + 1
		if ran == nil {
			last = d.endOfRun(e.notes, first)
		}
		seconds, err := d.drv.run(ctx, label, e.calls[first:last])
		if err != nil {
			return err
		}
		if ran != nil {
			ran(e.notes[first].launch(seconds))
		}
		first = last
	}
	return ctx.Err()
}

// endOfRun returns where the run of calls from number first on ends: before the call
// whose work is too much, but for the first.
func (d *gpu) endOfRun(notes []note, first int) int {
	if d.limits.work == 0 {
		return len(notes)
	}
	last, share := first+1, d.shareOfRun(notes[first])
	for last < len(notes) && share+d.shareOfRun(notes[last]) <= 1 {
		share += d.shareOfRun(notes[last])
		last++
	}
	return last
}

// Close waits for the running submission and gives back all memory, that of
// buffers which were not released included.
func (d *gpu) Close() error {
	d.Shut(func() {
		d.pool.close(d.drv)
		d.drv.close()
	})
	return d.capture.missed()
}
