package metalkit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"gimbal/inference/device"
	"gimbal/inference/device/host"
	"gimbal/metalkit/internal/driver"
	"gimbal/metalkit/internal/roofline"
	"gimbal/metalkit/internal/tune"
	"gimbal/metalkit/kernels"
)

// gpu is the device over any driver.
type gpu struct {
	*host.Device[memory]
	drv       driver.Driver
	limits    driver.Limits
	log       *slog.Logger
	variants  variants
	chip      Chip
	cache     int64   // bytes that the chip keeps of what one operation reads
	bytes     float64 // moved by one command buffer at the most, at the chip's peak; 0 for no limit
	pace      pace
	watch     watch
	lost      error         // why nothing runs any more
	choices   *tune.Choices // nil: the fixed variants
	enc       encoder       // of the submission that has the turn
	making    sync.Mutex    // guards pipelines
	pipelines map[driver.Specialisation]int32
	behind    sync.WaitGroup // what makes pipelines beside the run
	prepare   preparation
	oracle    oracle
	verified  map[driver.Specialisation]bool
	refused   bool // the log has it that the second source does not compile
	pool      pool
	capture   capture
}

func open(drv driver.Driver, opts Options) (*gpu, error) {
	variants, ok := variantsIn(opts.Compute)
	err := opts.check()
	if !ok {
		err = fmt.Errorf("compute in %v: want F32, F16 or BF16", opts.Compute)
	}
	if err != nil {
		drv.Close()
		return nil, fmt.Errorf("metalkit: %w", err)
	}
	d := &gpu{
		drv:       drv,
		limits:    drv.Limits(),
		log:       cmp.Or(opts.Log, slog.Default()),
		variants:  variants,
		pipelines: map[driver.Specialisation]int32{},
		verified:  map[driver.Specialisation]bool{},
		oracle:    oracle{open: opts.Oracle},
		watch:     watch{drv: drv},
	}
	if !d.limits.Matmul2D {
		d.variants = d.variants.withoutMatmul2D()
	}
	d.prepare.eager = opts.Eager
	d.pace = newPace(d.limits.Timed)
	limit := opts.limit(d.limits.WorkingSet)
	d.Device = host.New("metalkit", limit, d.giveBack)
	d.pool = pool{free: map[int64][]memory{}, most: min(limit, d.limits.WorkingSet) / 8}
	d.capture = capture{file: opts.Capture, label: opts.CaptureLabel}
	d.enc.dev = d
	d.chip = roofline.FindOrGuess(d.limits.Name)
	d.cache = d.chip.CacheBudget()
	d.limits.CommandBufferFLOPs, d.bytes = d.chip.CommandBuffer(d.limits)
	if d.limits.Timed && !opts.Fixed {
		d.choices = tune.Open(opts.Tuning, d.limits, device.DType(d.variants.dtype), kernels.Hash(), d.log)
	}
	return d, nil
}

func (d *gpu) Info() device.Info {
	_, far := d.drv.(driver.Discrete)
	info := device.Info{Name: d.limits.Name, Unified: !far, WorkingSet: min(d.Limit(), d.limits.WorkingSet)}
	info.Allocated, info.Peak = d.Held()
	if t := device.DType(d.variants.dtype); t != device.F32 {
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
		if d.lost != nil {
			return d.lost
		}
		e := &d.enc
		e.reset(ctx)
		if d.choices != nil {
			defer d.choices.Save()
			defer d.tellPreparation()
			d.prepare.mu.Lock()
			d.prepare.submission++
			d.prepare.mu.Unlock()
		}
		if f(e); e.err != nil {
			return e.err
		}
		return d.capture.around(d.drv, label, func() error { return d.submit(ctx, label, e, ran) })
	})
}

// Close waits for the running submission and gives back all memory, that of
// buffers which were not released included. A GPU that does not answer keeps its memory.
func (d *gpu) Close() error {
	d.Shut(func() {
		d.behind.Wait()
		d.watch.close()
		if !d.watch.gaveUp.Load() {
			d.pool.close(d.drv)
			d.drv.Close()
		}
	})
	return errors.Join(d.oracle.close(), d.capture.missed())
}
