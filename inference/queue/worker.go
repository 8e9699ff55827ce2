package queue

import (
	"context"
	"errors"
	"fmt"
	"image"
	"os"
	"time"

	"gimbal/inference"
	"gimbal/inference/device"
	"gimbal/inference/device/mapped"
	"gimbal/inference/engine"
	"gimbal/inference/library"
	"gimbal/inference/output"
)

// work makes the queue's runs, one after the other, until the Queue closes.
func (q *Queue) work() {
	for {
		select {
		case <-q.life.Done():
			return
		case <-q.grown:
		}
		for {
			ctx, e, ok := q.next()
			if !ok {
				break
			}
			saved, err := q.run(ctx, e)
			q.finish(ctx, saved, err)
		}
	}
}

// next takes the first run off the queue; ctx is what Cancel ends.
func (q *Queue) next() (ctx context.Context, e library.Entry, ok bool) {
	q.mu.Lock()
	if len(q.state.Waiting) == 0 || q.life.Err() != nil {
		q.mu.Unlock()
		return nil, e, false
	}
	e = q.state.Waiting[0]
	q.state.Waiting = q.state.Waiting[1:]
	ctx, q.cancel = context.WithCancelCause(q.life)
	e.State, e.Started = library.Running, time.Now()
	q.state.Run = Run{Entry: e, Phase: Starting, Steps: e.Settings.Job.Steps, Remaining: -1, Step: e.Steps}
	q.clock = clock{started: e.Started, remaining: -1}
	q.mu.Unlock()
	q.keep(e)
	q.tell()
	return ctx, e, true
}

// run has the engine make a video, and keeps times and memory up to date meanwhile.
func (q *Queue) run(ctx context.Context, e library.Entry) (inference.Saved, error) {
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
		q.change(func(s *State) { s.Run.Entry.Device = dev.Name })
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		q.tick(made, stop)
	}()
	saved, err := made.Run(ctx, r, q.event)
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
func (q *Queue) tick(made engine.Engine, stop chan struct{}) {
	ticker := time.NewTicker(tickInterval)
	defer ticker.Stop()
	for {
		memory := Memory{made.Memory(), q.o.Process()}
		q.change(func(s *State) {
			s.Run.Memory = memory
			s.Run.reckon(q.clock, time.Now())
		})
		select {
		case <-stop:
			return
		case <-ticker.C:
		}
	}
}

// event takes what the engine reports.
func (q *Queue) event(e inference.Event) {
	now := time.Now()
	q.mu.Lock()
	run := &q.state.Run
	phase := run.Phase
	run.apply(e, &q.clock, now)
	if phase == Cancelling {
		run.Phase = phase
	}
	run.reckon(q.clock, now)
	entry := run.Entry
	q.mu.Unlock()
	switch e.(type) {
	case inference.Prepared, inference.Waiting: // they say where the run is kept
		q.keep(entry)
	}
	q.tell()
}

// finish keeps how the run ended.
func (q *Queue) finish(ctx context.Context, saved inference.Saved, err error) {
	cancelled := ctx.Err() != nil
	q.cancel(nil)
	run := q.State().Run
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
	q.change(func(s *State) { s.Run = run })
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
