package studio

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"gimbal/inference"
	"gimbal/inference/camera"
	"gimbal/inference/device"
	"gimbal/inference/plan"
	"gimbal/inference/weights"
	"gimbal/ui/watch"
)

// EngineOptions say what the real engine works with.
type EngineOptions struct {
	// Open opens the device; it is called once, when it is first needed.
	Open func(context.Context) (device.Device, error)
	// RatesDir is the folder for what the device was measured to do; "" for the
	// user's cache folder.
	RatesDir string
	Log      *slog.Logger
}

// engine is the real Engine, over inference.
type engine struct {
	o EngineOptions

	opening   gate       // held while the device is opened
	measuring gate       // held while it is measured
	mu        sync.Mutex // guards what follows, never held for long
	dev       device.Device
	rates     plan.Rates
	words     map[string]*vocabulary // by checkpoint
	temp      string                 // folder of a camera path for estimates
	hurry     context.CancelFunc     // ends a measurement; nil if there is none
	waiting   int                    // runs that wait for their turn

	running  gate // held during Run, and guards what follows
	pipeline *inference.Pipeline
	of       pipelineOf
}

// pipelineOf tells what a pipeline was opened from.
type pipelineOf struct {
	checkpoint string
	quant      weights.Quant
	look       string // of the checkpoint's files
}

// NewEngine returns the real Engine. It keeps the checkpoint of the last run open for
// the next one, unless its files changed.
func NewEngine(o EngineOptions) Engine {
	return &engine{o: o, words: map[string]*vocabulary{}, opening: newGate(), measuring: newGate(), running: newGate()}
}

// open returns the device.
func (e *engine) open(ctx context.Context) (device.Device, error) {
	if err := e.opening.lock(ctx); err != nil {
		return nil, err
	}
	defer e.opening.unlock()
	if dev := e.opened(); dev != nil {
		return dev, nil
	}
	dev, err := e.o.Open(ctx)
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	e.dev = dev
	e.mu.Unlock()
	return dev, nil
}

func (e *engine) opened() device.Device {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.dev
}

// Device implements Engine.
func (e *engine) Device(ctx context.Context) (Device, error) {
	dev, err := e.open(ctx)
	if err != nil {
		return Device{}, err
	}
	info := dev.Info()
	return Device{
		Name: info.Name, Limit: info.WorkingSet, Unsupported: unsupported(ctx, dev),
	}, nil
}

// Memory implements Engine.
func (e *engine) Memory() Memory {
	dev := e.opened()
	if dev == nil {
		return Memory{}
	}
	info := dev.Info()
	return Memory{Device: info.Allocated, Limit: info.WorkingSet}
}

// Run implements Engine.
func (e *engine) Run(ctx context.Context, r Request, emit func(inference.Event)) (inference.Saved, error) {
	dev, err := e.open(ctx)
	if err == nil {
		err = e.takeTurn(ctx)
	}
	if err != nil {
		return inference.Saved{}, err
	}
	defer e.running.unlock()
	want := pipelineOf{r.Checkpoint, r.Quant, watch.See(r.Checkpoint)}
	if e.pipeline != nil && e.of != want {
		err := e.pipeline.Close()
		e.pipeline = nil
		if err != nil {
			return inference.Saved{}, fmt.Errorf("closing the last model: %w", err)
		}
	}
	if e.pipeline == nil {
		if e.pipeline, err = inference.Load(ctx, inference.Options{Checkpoint: r.Checkpoint, Device: dev, Quant: r.Quant}, emit); err != nil {
			return inference.Saved{}, err
		}
		e.of = pipelineOf{r.Checkpoint, r.Quant, watch.See(r.Checkpoint)} // quantising may have added files
	}
	if r.Resume != "" {
		return e.pipeline.Resume(ctx, r.Resume, emit)
	}
	return e.generate(ctx, r.Job, emit)
}

// generate makes a video, and learns how long it took beside what was planned.
func (e *engine) generate(ctx context.Context, job inference.Job, emit func(inference.Event)) (inference.Saved, error) {
	e.mu.Lock()
	rates := e.rates
	e.mu.Unlock()
	p, err := e.pipeline.Plan(ctx, job, rates)
	if err != nil { // Generate says what is wrong
		return e.pipeline.Generate(ctx, job, emit)
	}
	emit(inference.Planned{Plan: p})
	learner := inference.NewLearner(p)
	saved, err := e.pipeline.Generate(ctx, job, func(event inference.Event) {
		learner.Event(event)
		emit(event)
	})
	if err != nil || !rates.Known() {
		return saved, err
	}
	rates = learner.Rates(rates)
	e.mu.Lock()
	e.rates = rates
	e.mu.Unlock()
	if err := rates.Write(e.o.RatesDir, e.opened()); err != nil {
		e.o.Log.Warn("keeping the device's rates", "err", err)
	}
	return saved, nil
}

// Estimate implements Engine.
func (e *engine) Estimate(ctx context.Context, r Request) (Estimate, error) {
	q, err := e.planned(ctx, r)
	if err != nil {
		return Estimate{}, err
	}
	q.Rates = e.measured(ctx, q.Device)
	p, err := inference.PlanOf(ctx, q)
	if err != nil {
		return Estimate{}, err
	}
	return estimateOf(p), nil
}

// Fit implements Engine.
func (e *engine) Fit(ctx context.Context, r Request) (Request, []string, error) {
	q, err := e.planned(ctx, r)
	if err != nil {
		return r, nil, err
	}
	q, p, choices, err := inference.PlanAuto(ctx, q)
	if err != nil || p.Fit() == plan.TooMuch {
		return r, nil, err
	}
	var names []string
	for _, c := range choices {
		names = append(names, c.Setting+" "+c.Value)
	}
	path := r.Job.ActionPath
	r.Job, r.Quant = q.Job, q.Quant
	r.Job.ActionPath = path
	return r, names, nil
}

// planned returns the request as a plan wants it.
func (e *engine) planned(ctx context.Context, r Request) (inference.PlanRequest, error) {
	dev, err := e.open(ctx)
	if err != nil {
		return inference.PlanRequest{}, err
	}
	if r.Camera && r.Job.ActionPath == "" {
		if r.Job.ActionPath, err = e.anyPath(); err != nil {
			return inference.PlanRequest{}, err
		}
	}
	return inference.PlanRequest{Checkpoint: r.Checkpoint, Job: r.Job, Quant: r.Quant, Device: dev}, nil
}

// estimateOf tells what a plan says.
func estimateOf(p plan.Plan) Estimate {
	out := Estimate{
		Known: true, Time: p.Time.Likely, TimeLow: p.Time.Low, TimeHigh: p.Time.High,
		Memory: p.Peak().Memory(), Resident: p.Largest().Resident(), Fit: p.Fit(), Notices: p.Notices,
	}
	for _, d := range p.Disk {
		out.Disk += d.Bytes
	}
	for _, phase := range p.Phases {
		out.Phases = append(out.Phases, PhaseEstimate{Name: phase.Name, Time: phase.Time.Likely, Memory: phase.Memory()})
	}
	return out
}

// measured returns the device's rates, which it measures once if they are not known;
// the zero Rates while a run is in the way.
func (e *engine) measured(ctx context.Context, dev device.Device) plan.Rates {
	if e.measuring.lock(ctx) != nil {
		return plan.Rates{}
	}
	defer e.measuring.unlock()
	e.mu.Lock()
	rates := e.rates
	e.mu.Unlock()
	if rates.Known() {
		return rates
	}
	if rates = plan.ReadRates(e.o.RatesDir, dev); !rates.Known() && e.running.tryLock() {
		rates = e.measure(ctx, dev)
		e.running.unlock()
	}
	e.mu.Lock()
	e.rates = rates
	e.mu.Unlock()
	return rates
}

// measure measures the device, unless a run wants it meanwhile.
func (e *engine) measure(ctx context.Context, dev device.Device) plan.Rates {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	e.mu.Lock()
	if e.hurry = cancel; e.waiting > 0 {
		cancel()
	}
	e.mu.Unlock()
	rates, err := plan.Measure(ctx, dev)
	e.mu.Lock()
	e.hurry = nil
	e.mu.Unlock()
	if err != nil {
		if ctx.Err() == nil {
			e.o.Log.Warn("measuring the device", "err", err)
		}
		return plan.Rates{}
	}
	if err := rates.Write(e.o.RatesDir, dev); err != nil {
		e.o.Log.Warn("keeping the device's rates", "err", err)
	}
	return rates
}

// takeTurn locks e.running for a run; a measurement makes way.
func (e *engine) takeTurn(ctx context.Context) error {
	e.mu.Lock()
	if e.waiting++; e.hurry != nil {
		e.hurry()
	}
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		e.waiting--
		e.mu.Unlock()
	}()
	return e.running.lock(ctx)
}

// anyPath returns an action folder that is long enough for every video: estimates do
// not depend on where a path goes.
func (e *engine) anyPath() (string, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.temp != "" {
		return e.temp, nil
	}
	temp, err := os.MkdirTemp("", "gimbal-estimate-*")
	if err != nil {
		return "", err
	}
	path, err := camera.Builtin(camera.BuiltinNames()[0], maxFrames)
	if err == nil {
		err = path.Write(temp)
	}
	if err != nil {
		return "", errors.Join(err, os.RemoveAll(temp))
	}
	e.temp = filepath.Clean(temp)
	return e.temp, nil
}

// Close implements Engine.
func (e *engine) Close() error {
	if err := e.running.lock(context.Background()); err != nil {
		return err
	}
	defer e.running.unlock()
	var errs []error
	if e.pipeline != nil {
		errs = append(errs, e.pipeline.Close())
		e.pipeline = nil
	}
	if e.temp != "" {
		errs = append(errs, os.RemoveAll(e.temp))
	}
	if e.dev != nil {
		errs = append(errs, e.dev.Close())
	}
	return errors.Join(errs...)
}
