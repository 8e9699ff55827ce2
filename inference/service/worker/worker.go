package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"gimbal/inference"
	"gimbal/inference/engine"
	"gimbal/inference/service/jobs"
)

// Options say what a worker works with.
type Options struct {
	Engine engine.Engine
	Store  *jobs.Store
	Models []Checkpoint
	LoRAs  map[string]string // files by the names that jobs ask for them
	Dir    string            // for runs; a run's folder in it goes when the job leaves this worker
	Name   string            // of the worker, one of its own
	Log    *slog.Logger
}

// Checkpoint is a model on this machine.
type Checkpoint struct {
	Name string // by which jobs ask for it
	Dir  string
}

// Worker makes jobs.
type Worker struct {
	o      Options
	models []jobs.Model
	dirs   map[string]string // of checkpoints, by their fingerprints
	loras  map[string]string // fingerprints, by their names
}

// New looks at the models that there are. The error says which cannot be used.
func New(ctx context.Context, o Options) (*Worker, error) {
	dev, err := o.Engine.Device(ctx)
	if err != nil {
		return nil, err
	}
	w := &Worker{o: o, dirs: map[string]string{}, loras: map[string]string{}}
	for name, file := range o.LoRAs {
		if w.loras[name], err = engine.LoRAFingerprint(file); err != nil {
			return nil, fmt.Errorf("LoRA %s: %w", name, err)
		}
	}
	for _, c := range o.Models {
		m, err := o.Engine.Inspect(ctx, engine.Request{Checkpoint: c.Dir})
		if err == nil && !m.Whole {
			err = errors.New("it is not whole")
		}
		if err != nil {
			return nil, fmt.Errorf("model %s in %s: %w", c.Name, c.Dir, err)
		}
		fingerprint, err := engine.Fingerprint(c.Dir)
		if err != nil {
			return nil, err
		}
		w.dirs[fingerprint] = c.Dir
		w.models = append(w.models, jobs.Model{
			Name: c.Name, Fingerprint: fingerprint, HasCamera: m.HasCamera, ReadsKeys: m.ReadsKeys, Recipe: m.Recipe,
			Variant: m.Variant.Name, Parts: partsOf(m), LoRAs: w.loras, Worker: o.Name, Device: dev.Name, Memory: dev.Limit,
		})
	}
	return w, os.MkdirAll(o.Dir, 0o700)
}

// partsOf lists a checkpoint's parts without saying where they are.
func partsOf(m engine.Model) (list []inference.Part) {
	for _, p := range m.Parts {
		list = append(list, inference.Part{Name: p.Name, Bytes: p.Bytes})
	}
	return list
}

// Run makes jobs until ctx ends. The job at work is then given back, to go on elsewhere.
func (w *Worker) Run(ctx context.Context) error {
	var aside sync.WaitGroup
	defer aside.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	aside.Go(func() { w.o.Store.Announce(ctx, w.models) })
	fingerprints := make([]string, 0, len(w.models))
	for _, m := range w.models {
		fingerprints = append(fingerprints, m.Fingerprint)
		aside.Go(func() {
			if err := w.o.Store.Answer(ctx, m.Fingerprint, jobs.Answers{Plan: w.plan(m), Tokens: w.tokens(m)}); ctx.Err() == nil {
				w.o.Log.Error("answering questions", "err", err)
			}
		})
	}
	for {
		claim, err := w.o.Store.Next(ctx, w.o.Name, fingerprints, func(j *jobs.Job) bool { return w.has(j.LoRAs) })
		if ctx.Err() != nil {
			if claim != nil {
				w.give(ctx, claim, nil)
			}
			return ctx.Err()
		}
		if err != nil {
			w.o.Log.Warn("taking a job", "err", err)
			time.Sleep(time.Second)
			continue
		}
		w.work(ctx, claim)
	}
}

// has reports whether the worker has LoRAs, by their names and fingerprints.
func (w *Worker) has(loras map[string]string) bool {
	for name, fingerprint := range loras {
		if w.loras[name] != fingerprint {
			return false
		}
	}
	return true
}

// localLoRAs names this machine's files in place of their names.
func (w *Worker) localLoRAs(list inference.LoRAs) inference.LoRAs {
	all := list.List()
	for i := range all {
		all[i].File = w.o.LoRAs[all[i].File]
	}
	return inference.NewLoRAs(all...)
}

// plan answers questions about what a job takes.
func (w *Worker) plan(m jobs.Model) func(context.Context, jobs.PlanRequest) jobs.PlanReply {
	return func(ctx context.Context, q jobs.PlanRequest) (reply jobs.PlanReply) {
		if !w.has(q.LoRAs) {
			return jobs.PlanReply{Failure: &jobs.Failure{Setting: "lora", Text: "lora: another worker has it, which cannot be asked now"}}
		}
		r := engine.Request{
			Checkpoint: w.dirs[m.Fingerprint], Job: q.Settings, Camera: q.Camera, PictureWidth: q.Width, PictureHeight: q.Height, Only: q.Only,
		}
		r.Job.LoRAs = w.localLoRAs(q.Settings.LoRAs)
		var err error
		if q.Fit {
			r, _, reply.Choices, err = w.o.Engine.Fit(ctx, r)
		}
		if err == nil {
			reply.Plan, err = w.o.Engine.Plan(ctx, r)
		}
		if err != nil {
			return jobs.PlanReply{Failure: w.failure(err, "")}
		}
		for i := range reply.Plan.Disk {
			reply.Plan.Disk[i].Folder = "" // this machine's own business
		}
		return reply
	}
}

// tokens answers questions about how long texts are.
func (w *Worker) tokens(m jobs.Model) func(context.Context, jobs.TokensRequest) jobs.TokensReply {
	return func(ctx context.Context, q jobs.TokensRequest) (reply jobs.TokensReply) {
		all, err := w.o.Engine.Tokens(ctx, engine.Request{Checkpoint: w.dirs[m.Fingerprint]}, q.Texts...)
		if err != nil {
			return jobs.TokensReply{Failure: w.failure(err, "")}
		}
		for _, t := range all {
			reply.Counts, reply.Limit = append(reply.Counts, t.N), t.Limit
		}
		return reply
	}
}

// work makes one job.
func (w *Worker) work(life context.Context, claim *jobs.Claim) {
	log := w.o.Log.With("job", claim.Job.ID, "attempt", claim.Job.Attempt)
	log.Info("job taken", "step", claim.Job.Step)
	ctx, end := context.WithCancelCause(life)
	defer end(nil)
	var keeping sync.WaitGroup
	defer keeping.Wait()
	kept, stop := context.WithCancel(ctx)
	defer stop()
	keeping.Go(func() {
		for kept.Err() == nil {
			err := claim.Keep(kept)
			if errors.Is(err, jobs.ErrLost) || errors.Is(err, jobs.ErrCancelled) {
				end(err)
				return
			}
			sleep(kept, time.Second) // the server is away; the job may still be this worker's
		}
	})
	dir := filepath.Join(w.o.Dir, string(claim.Job.ID))
	results, err := w.run(ctx, claim, dir)
	w.close(life, context.Cause(ctx), claim, results, err, dir, log)
	if err := os.RemoveAll(dir); err != nil {
		log.Warn("removing the run's folder", "err", err)
	}
}

// close says how the job ended here: for a cause, if that is not nil, before the run's end.
func (w *Worker) close(life context.Context, cause error, claim *jobs.Claim, results jobs.Files, err error, dir string, log *slog.Logger) {
	switch {
	case errors.Is(cause, jobs.ErrLost):
		log.Warn("job lost to another worker")
	case errors.Is(cause, jobs.ErrCancelled):
		log.Info("job cancelled")
		w.end(life, claim, jobs.Cancelled, func(*jobs.Job) {})
	case err == nil:
		log.Info("job done")
		w.end(life, claim, jobs.Done, func(j *jobs.Job) { j.Results, j.Step = results, j.Steps })
	case cause != nil:
		log.Info("job given back", "why", cause)
		w.give(life, claim, nil)
	case final(err) || w.onlyHere(life, claim, err):
		log.Info("job failed", "err", err)
		w.end(life, claim, jobs.Failed, func(j *jobs.Job) { j.Failure = w.failure(err, dir) })
	default:
		log.Error("job given back", "err", err)
		w.give(life, claim, w.failure(err, dir))
	}
}

// end ends the job, however long the server is away, unless the worker is told to stop or the
// job is another one's.
func (w *Worker) end(life context.Context, claim *jobs.Claim, status jobs.Status, edit func(*jobs.Job)) {
	ctx, cancel := life, context.CancelFunc(func() {})
	if life.Err() != nil {
		ctx, cancel = context.WithTimeout(context.WithoutCancel(life), patience)
	}
	defer cancel()
	err := again(ctx, func(ctx context.Context) error { return claim.End(ctx, status, edit) })
	if err != nil && !errors.Is(err, jobs.ErrLost) {
		w.o.Log.Warn("ending a job", "job", claim.Job.ID, "err", err)
		w.give(life, claim, nil)
	}
}

// patience is how long a worker that stops tries to give its job back; the lease ends anyway.
const patience = 3 * time.Second

func (w *Worker) give(ctx context.Context, claim *jobs.Claim, failure *jobs.Failure) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	if err := claim.Release(ctx, failure); err != nil && !errors.Is(err, jobs.ErrLost) {
		w.o.Log.Warn("giving a job back", "job", claim.Job.ID, "err", err)
	}
}

// again tries until there is no error or ctx ends: with the job, when that is another worker's. A
// minute is enough for what is no matter of waiting for the server.
func again(ctx context.Context, try func(context.Context) error) error {
	for began := time.Now(); ; {
		err := try(ctx)
		if errors.Is(err, jobs.ErrAway) {
			began = time.Now()
		}
		if err == nil || errors.Is(err, jobs.ErrLost) || ctx.Err() != nil || time.Since(began) > time.Minute {
			return err
		}
		sleep(ctx, 200*time.Millisecond)
	}
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// final reports whether an error would come again wherever the job runs.
func final(err error) bool {
	var setting *inference.SettingError
	var checkpoint *inference.CheckpointError
	var unhealthy *inference.UnhealthyError
	var other *inference.OtherCheckpointError
	return errors.As(err, &setting) || errors.As(err, &checkpoint) || errors.As(err, &unhealthy) || errors.As(err, &other)
}

// onlyHere reports whether err says that the job does not fit this machine, and no other
// that has its model holds more.
func (w *Worker) onlyHere(ctx context.Context, claim *jobs.Claim, err error) bool {
	var memory *inference.MemoryError
	if !errors.As(err, &memory) {
		return false
	}
	all, err := w.o.Store.Models(ctx)
	if err != nil {
		return false
	}
	for _, m := range all {
		if m.Fingerprint == claim.Job.Model && m.Memory > w.models[0].Memory {
			return false
		}
	}
	return true
}
