package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"gimbal/inference"
	"gimbal/inference/device"
	"gimbal/inference/device/mapped"
	"gimbal/inference/output"
	"gimbal/inference/plan"
	"gimbal/inference/watch"
	"gimbal/inference/weights"
)

// Options say what a Local works with.
type Options struct {
	// Open opens the device; it is called once, when it is first needed.
	Open func(context.Context) (device.Device, error)
	// RatesDir is the folder for what the device was measured to do, and for which checkpoints
	// were looked at; "" for the user's cache folder.
	RatesDir string
	// Also are files that the client writes itself beside those of a run.
	Also []output.File
	Log  *slog.Logger
}

// Local is the Engine on this machine. It keeps the checkpoint of the last run open for
// the next one, unless its files changed.
type Local struct {
	o Options

	opening   gate       // held while the device is opened
	measuring gate       // held while it is measured
	mu        sync.Mutex // guards what follows, never held for long
	dev       device.Device
	rates     plan.Rates
	vocab     *vocabulary        // of the last checkpoint whose tokens were counted
	hurry     context.CancelFunc // ends a measurement; nil if there is none
	waiting   int                // runs that wait for their turn

	running  gate // held during Run, and guards what follows
	pipeline *Pipeline
	of       pipelineOf
}

// pipelineOf tells what a pipeline was opened from.
type pipelineOf struct {
	checkpoint weights.Checkpoint
	quant      inference.Quant
	files      string // as they looked
}

// NewLocal returns an Engine on this machine.
func NewLocal(o Options) *Local {
	return &Local{o: o, opening: newGate(), measuring: newGate(), running: newGate()}
}

// open returns the device.
func (l *Local) open(ctx context.Context) (device.Device, error) {
	if err := l.opening.lock(ctx); err != nil {
		return nil, err
	}
	defer l.opening.unlock()
	if dev := l.opened(); dev != nil {
		return dev, nil
	}
	dev, err := l.o.Open(ctx)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	l.dev = dev
	l.mu.Unlock()
	return dev, nil
}

func (l *Local) opened() device.Device {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dev
}

// Device implements Engine.
func (l *Local) Device(ctx context.Context) (Device, error) {
	dev, err := l.open(ctx)
	if err != nil {
		return Device{}, err
	}
	info := dev.Info()
	d := Device{Name: info.Name, Limit: info.WorkingSet, Unsupported: unsupported(ctx, dev)}
	for _, p := range dev.Describe() {
		if p.Name == device.SwitchedOff {
			d.SwitchedOff = append(d.SwitchedOff, p.Value)
		}
	}
	return d, nil
}

// Memory implements Engine.
func (l *Local) Memory() Memory {
	dev := l.opened()
	if dev == nil {
		return Memory{}
	}
	info := dev.Info()
	return Memory{Device: info.Allocated, Limit: info.WorkingSet}
}

// Run implements Engine.
func (l *Local) Run(ctx context.Context, r Request, emit func(inference.Event)) (inference.Saved, error) {
	r, err := l.check(r)
	if err != nil {
		return inference.Saved{}, err
	}
	dev, err := l.open(ctx)
	if err == nil {
		err = l.takeTurn(ctx)
	}
	if err != nil {
		return inference.Saved{}, err
	}
	defer l.running.unlock()
	defer l.dropLost()
	if err := l.load(ctx, dev, checkpointOf(r.Checkpoint, r.Job), r.Job.Quant, emit); err != nil {
		return inference.Saved{}, err
	}
	if r.Resume != "" {
		return l.pipeline.Resume(ctx, r.Resume, emit)
	}
	return l.generate(ctx, r, emit)
}

// check looks at what a run writes, before anything is loaded. It returns the request with
// what the run's folder says of one that goes on.
func (l *Local) check(r Request) (Request, error) {
	if r.Resume == "" {
		if err := checkRun(r.Job); err != nil {
			return r, err
		}
		return r, errors.Join(checkFrames(r.Job), checkOutputs(r.Job, r.Checkpoint, l.o.Also))
	}
	run, err := ReadRun(r.Resume)
	if err != nil {
		return r, err
	}
	r.Job, r.Checkpoint = run.Job, cmp.Or(r.Checkpoint, run.Checkpoint)
	return r, checkOutputs(r.Job, r.Checkpoint, l.o.Also)
}

// Quantize makes a checkpoint's quantised weights ahead of time.
func (l *Local) Quantize(ctx context.Context, checkpoint string, q inference.Quant, emit func(inference.Event)) error {
	dev, err := l.open(ctx)
	if err == nil {
		err = l.takeTurn(ctx)
	}
	if err != nil {
		return err
	}
	defer l.running.unlock()
	return l.load(ctx, dev, weights.Checkpoint{Dir: checkpoint}, q, emit)
}

// load opens the checkpoint unless it is. l.running is held.
func (l *Local) load(ctx context.Context, dev device.Device, c weights.Checkpoint, q inference.Quant, emit func(inference.Event)) (err error) {
	if found, errFind := weights.Find(c.Dir); errFind == nil {
		c.Dir = found
	}
	if l.pipeline != nil && l.of != seen(c, q) {
		err := l.pipeline.Close()
		l.pipeline = nil
		if err != nil {
			return fmt.Errorf("closing the last model: %w", err)
		}
	}
	if l.pipeline == nil {
		if l.pipeline, err = loadChecked(ctx, dev, c, q, emit, l.checkSamples); err != nil {
			return err
		}
		l.of = seen(c, q) // quantising may have added files
	}
	return nil
}

// seen says how a checkpoint looks now.
func seen(c weights.Checkpoint, q inference.Quant) pipelineOf {
	files := watch.See(c.Dir)
	if c.Assets != "" {
		files += watch.See(c.Assets)
	}
	for _, path := range c.Parts.Paths() {
		files += watch.See(path)
	}
	return pipelineOf{c, q, files}
}

// dropLost closes a checkpoint whose files could not be read any more: the next run opens what
// is there then. l.running is held.
func (l *Local) dropLost() {
	if l.pipeline == nil || mapped.Lost() == nil {
		return
	}
	if err := l.pipeline.Close(); err != nil {
		l.o.Log.Warn("closing a model that is gone", "err", err)
	}
	l.pipeline = nil
}

// longWork is the work, in floating-point operations, of jobs that are worth the two
// seconds that measuring a device takes.
const longWork = 1e13

// generate makes a video, and learns how long it took beside what was planned.
func (l *Local) generate(ctx context.Context, r Request, emit func(inference.Event)) (inference.Saved, error) {
	rates := l.known()
	var learner *plan.Learner
	planned := func(p inference.Plan) (err error) {
		if !rates.Known() && p.FLOPs() > longWork {
			if rates, err = plan.Measure(ctx, l.dev); err != nil {
				return err
			}
			l.keepRates(rates)
		}
		rates.Estimate(&p)
		emit(inference.Planned{Plan: p})
		learner = plan.NewLearner(p)
		return nil
	}
	saved, err := l.pipeline.generate(ctx, r.Job, r.Inputs, planned, func(event inference.Event) {
		learner.Event(event)
		emit(event)
	})
	if err == nil && rates.Known() {
		l.keepRates(learner.Rates(rates))
	}
	return saved, err
}

// known returns the device's rates as far as they are known.
func (l *Local) known() plan.Rates {
	l.mu.Lock()
	rates := l.rates
	l.mu.Unlock()
	if rates.Known() {
		return rates
	}
	rates = plan.ReadRates(l.o.RatesDir, l.opened())
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.rates.Known() { // or they were measured meanwhile
		l.rates = rates
	}
	return l.rates
}

// keepRates keeps them for the next estimate, which is less good without. l.running is held.
func (l *Local) keepRates(rates plan.Rates) {
	l.mu.Lock()
	l.rates = rates
	l.mu.Unlock()
	if err := rates.Write(l.o.RatesDir, l.dev); err != nil {
		l.o.Log.Warn("keeping the device's rates", "err", err)
	}
}

// Plan implements Engine.
func (l *Local) Plan(ctx context.Context, r Request) (inference.Plan, error) {
	dev, err := l.open(ctx)
	if err != nil {
		return inference.Plan{}, err
	}
	p, err := Plan(ctx, dev, r)
	if err == nil {
		l.measured(ctx, dev).Estimate(&p)
	}
	return p, err
}

// Fit implements Engine.
func (l *Local) Fit(ctx context.Context, r Request) (Request, inference.Plan, []inference.Choice, error) {
	dev, err := l.open(ctx)
	if err != nil {
		return r, inference.Plan{}, nil, err
	}
	return Fit(ctx, dev, r)
}

// measured returns the device's rates, which it measures once if they are not known;
// the zero Rates while a run is in the way.
func (l *Local) measured(ctx context.Context, dev device.Device) plan.Rates {
	if l.measuring.lock(ctx) != nil {
		return plan.Rates{}
	}
	defer l.measuring.unlock()
	rates := l.known()
	if !rates.Known() && l.running.tryLock() {
		rates = l.measure(ctx, dev)
		l.running.unlock()
	}
	return rates
}

// measure measures the device, unless a run wants it meanwhile.
func (l *Local) measure(ctx context.Context, dev device.Device) plan.Rates {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l.mu.Lock()
	if l.hurry = cancel; l.waiting > 0 {
		cancel()
	}
	l.mu.Unlock()
	rates, err := plan.Measure(ctx, dev)
	l.mu.Lock()
	l.hurry = nil
	l.mu.Unlock()
	if err != nil {
		if ctx.Err() == nil {
			l.o.Log.Warn("measuring the device", "err", err)
		}
		return plan.Rates{}
	}
	l.keepRates(rates)
	return rates
}

// takeTurn locks l.running for a run; a measurement makes way.
func (l *Local) takeTurn(ctx context.Context) error {
	l.mu.Lock()
	if l.waiting++; l.hurry != nil {
		l.hurry()
	}
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		l.waiting--
		l.mu.Unlock()
	}()
	return l.running.lock(ctx)
}

// Close implements Engine.
func (l *Local) Close() error {
	if err := l.running.lock(context.Background()); err != nil {
		return err
	}
	defer l.running.unlock()
	var errs []error
	if l.pipeline != nil {
		errs = append(errs, l.pipeline.Close())
		l.pipeline = nil
	}
	if l.dev != nil {
		errs = append(errs, l.dev.Close())
	}
	return errors.Join(errs...)
}

// gate is a lock that is waited for no longer than a context lasts.
type gate chan struct{}

func newGate() gate { return make(gate, 1) }

func (g gate) lock(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case g <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g gate) tryLock() bool {
	select {
	case g <- struct{}{}:
		return true
	default:
		return false
	}
}

func (g gate) unlock() { <-g }
