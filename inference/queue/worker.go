package queue

import (
	"context"
	"errors"
	"fmt"
	"image"
	"os"
	"slices"
	"sync"
	"time"

	"gimbal/inference"
	"gimbal/inference/device"
	"gimbal/inference/device/mapped"
	"gimbal/inference/engine"
	"gimbal/inference/library"
	"gimbal/inference/output"
)

// work makes the runs of this machine, one after the other, until the Queue closes.
func (q *Queue) work() {
	for {
		select {
		case <-q.life.Done():
			return
		case <-q.grown:
		}
		for {
			ctx, a := q.next()
			if a == nil {
				break
			}
			q.make(ctx, a)
		}
	}
}

// next begins the first run of the queue; nil for none.
func (q *Queue) next() (context.Context, *active) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 || q.life.Err() != nil {
		return nil, nil
	}
	e := q.waiting[0]
	q.waiting = q.waiting[1:]
	return q.begun(e)
}

// send has a server make a run: it is asked for as soon as the server has those that were sent
// before, so that it makes them in their order.
func (q *Queue) send(e library.Entry) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.life.Err() != nil {
		return
	}
	ctx, a := q.begun(e)
	before, taken := q.sent[e.Settings.Server], make(chan struct{})
	q.sent[e.Settings.Server] = taken
	a.taken = sync.OnceFunc(func() { close(taken) })
	q.worker.Go(func() {
		defer a.taken()
		if before != nil {
			select {
			case <-before:
			case <-ctx.Done():
			}
		}
		q.make(ctx, a)
	})
}

// begun makes a run one that is under way; ctx is what Cancel ends. q.mu is held.
func (q *Queue) begun(e library.Entry) (context.Context, *active) {
	ctx, cancel := context.WithCancelCause(q.life)
	e.State, e.Started = library.Running, time.Now()
	a := &active{
		run:   Run{Entry: e, Phase: Starting, Steps: e.Settings.Job.Steps, Remaining: -1, Step: e.Steps},
		clock: clock{started: e.Started, remaining: -1}, cancel: cancel, taken: func() {},
	}
	q.underWay = append(q.underWay, a)
	if q.front == nil || !q.front.run.Active() {
		q.front = a
	}
	return ctx, a
}

// make makes a run and keeps how it ended.
func (q *Queue) make(ctx context.Context, a *active) {
	q.mu.Lock()
	e := a.run.Entry
	q.mu.Unlock()
	q.keep(e)
	q.tell()
	saved, err := q.run(ctx, a, e)
	q.finish(ctx, a, saved, err)
}

// run has the engine make a video, and keeps times and memory up to date meanwhile.
func (q *Queue) run(ctx context.Context, a *active, e library.Entry) (inference.Saved, error) {
	if ctx.Err() != nil {
		return inference.Saved{}, ctx.Err()
	}
	made, err := q.engineOf(e)
	if err != nil {
		return inference.Saved{}, err
	}
	r := q.request(e)
	if r.Checkpoint == "" && e.Settings.Server == "" {
		return inference.Saved{}, errors.New("the demo model is not unpacked: choose a model folder, or make room in the cache folder")
	}
	if r.Resume == "" {
		if err := os.RemoveAll(r.Job.FramesDir); err != nil {
			return inference.Saved{}, err
		}
	}
	if dev, err := made.Device(ctx); err == nil { // or Run says what is wrong
		q.change(func() { a.run.Entry.Device = dev.Name })
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		q.tick(a, made, stop)
	}()
	saved, err := made.Run(ctx, r, func(e inference.Event) { q.event(a, e) })
	close(stop)
	<-stopped
	return saved, err
}

// engineOf returns the engine that makes a run.
func (q *Queue) engineOf(e library.Entry) (engine.Engine, error) {
	server := e.Settings.Server
	if server == "" {
		return q.o.Engine, nil
	}
	if q.o.Remote == nil {
		return nil, fmt.Errorf("the run is one of the server %s, which cannot be asked here", server)
	}
	return q.o.Remote(server)
}

// tickInterval is how often a run's times and memory are looked at.
const tickInterval = 500 * time.Millisecond

// tick keeps times and memory up to date until stop is closed.
func (q *Queue) tick(a *active, made engine.Engine, stop chan struct{}) {
	ticker := time.NewTicker(tickInterval)
	defer ticker.Stop()
	for {
		memory := Memory{made.Memory(), q.o.Process()}
		q.change(func() {
			a.run.Memory = memory
			a.run.reckon(a.clock, time.Now())
		})
		select {
		case <-stop:
			return
		case <-ticker.C:
		}
	}
}

// event takes what the engine reports.
func (q *Queue) event(a *active, e inference.Event) {
	now := time.Now()
	q.mu.Lock()
	run := &a.run
	phase := run.Phase
	run.apply(e, &a.clock, now)
	if phase == Cancelling {
		run.Phase = phase
	}
	run.reckon(a.clock, now)
	entry := run.Entry
	q.mu.Unlock()
	switch e.(type) {
	case inference.Prepared, inference.Waiting: // they say where the run is kept
		q.keep(entry)
		a.taken()
	}
	q.tell()
}

// finish keeps how the run ended.
func (q *Queue) finish(ctx context.Context, a *active, saved inference.Saved, err error) {
	cancelled := ctx.Err() != nil
	a.cancel(nil)
	q.mu.Lock()
	run := a.run
	q.mu.Unlock()
	e := &run.Entry
	e.Finished = time.Now()
	run.Elapsed = e.Finished.Sub(e.Started)
	e.Seconds += run.Elapsed.Seconds()
	run.Phase, run.Preview, run.Frame, run.Remaining = Finished, nil, nil, 0
	switch {
	case err == nil:
		e.State, e.RunDir, e.Steps = library.Done, "", run.Steps
		e.Video, e.ContactSheet, e.Sidecar = saved.Video, saved.ContactSheet, saved.Sidecar
		run.Fraction = 1
	case q.life.Err() != nil:
		e.State = library.Interrupted
	case cancelled:
		e.State = library.Cancelled
	default:
		e.State, run.Err = library.Failed, err
		e.Cause, e.Error = explain(err)
		q.o.Log.Error("run failed", "id", e.ID, "err", err)
	}
	if err == nil {
		q.thumbnailOfVideo(e.ID)
	}
	q.keep(*e)
	q.change(func() {
		a.run = run
		q.underWay = slices.DeleteFunc(q.underWay, func(other *active) bool { return other == a })
	})
	if q.o.Ended != nil {
		q.o.Ended(run)
	}
	q.forward()
}

// forward puts another run in front when the one that was there has ended: one that is being
// made before one that waits on its server.
func (q *Queue) forward() {
	q.mu.Lock()
	ended := !q.front.run.Active() && len(q.underWay) > 0
	if ended {
		q.front = q.underWay[0]
		if i := slices.IndexFunc(q.underWay, func(a *active) bool { return a.run.Phase != Starting && a.run.Phase != Waiting }); i >= 0 {
			q.front = q.underWay[i]
		}
	}
	q.mu.Unlock()
	if ended {
		q.tell()
	}
}

// thumbnailOfVideo makes the middle frame of a run's video its thumbnail.
func (q *Queue) thumbnailOfVideo(id library.ID) {
	var frame *image.RGBA
	v, err := q.o.Library.Video(id)
	if err == nil {
		frame, err = v.Frame(v.Frames / 2)
	}
	if err != nil {
		q.o.Log.Warn("making a thumbnail", "id", id, "err", err)
		return
	}
	q.thumbnail(id, frame)
}

// explain says why a run failed, without the folder in which it is kept.
func explain(err error) (library.Cause, string) {
	var paused *inference.PausedError
	if errors.As(err, &paused) {
		err = paused.Err
	}
	var large *inference.MemoryError
	var unhealthy *inference.UnhealthyError
	var lost *mapped.LostError
	var busy *inference.BusyError
	cause := library.Other
	switch {
	case errors.As(err, &large):
		cause = library.TooLarge
	case errors.Is(err, device.ErrOutOfMemory):
		cause = library.OutOfMemory
	case errors.Is(err, device.ErrInterrupted):
		cause = library.GPUStopped
	case errors.Is(err, device.ErrDeviceLost):
		cause = library.DeviceLost
	case errors.As(err, &unhealthy):
		cause = library.Unhealthy
	case output.Full(err):
		cause = library.DiskFull
	case errors.As(err, &lost):
		cause = library.FilesLost
	case errors.As(err, &busy):
		cause = library.Busy
	}
	return cause, err.Error()
}
