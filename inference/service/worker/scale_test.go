package worker_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gimbal/inference"
	"gimbal/inference/engine"
	"gimbal/inference/engine/enginetest"
	"gimbal/inference/golden"
	"gimbal/inference/service/broker"
	"gimbal/inference/service/jobs"
	"gimbal/inference/service/worker"
)

// sleeper is an engine that takes the time that a plan says, haste times as fast, and
// writes a state after each step as real ones do.
type sleeper struct {
	*enginetest.Engine
	plan  inference.Plan
	haste int
	spent *spent
}

// spent is what the time of all workers went to, beside the device's.
type spent struct {
	late, wrote, told, runs atomic.Int64 // nanoseconds: the device woke late, wrote states, waited for whom it told; all runs
}

// since adds the time from t on, but for what is due, and returns now.
func since(sum *atomic.Int64, t time.Time, due time.Duration) time.Time {
	now := time.Now()
	sum.Add(int64(now.Sub(t) - due))
	return now
}

func (s *sleeper) Run(ctx context.Context, r engine.Request, emit func(inference.Event)) (saved inference.Saved, err error) {
	began := time.Now()
	defer func() { since(&s.spent.runs, began, 0) }()
	dir := filepath.Join(filepath.Dir(r.Job.Output), "video.run")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return saved, err
	}
	emit(inference.Prepared{Width: s.plan.Width, Height: s.plan.Height, Frames: s.plan.Frames, RunDir: dir, FirstStep: 1, Steps: r.Job.Steps})
	state := filepath.Join(dir, "state.safetensors")
	for step := 1; step <= r.Job.Steps; step++ {
		t, pace := time.Now(), s.plan.Time.Likely/time.Duration(s.haste*r.Job.Steps)
		time.Sleep(pace)
		t = since(&s.spent.late, t, pace)
		fresh := filepath.Join(dir, ".fresh")
		if err := os.WriteFile(fresh, fmt.Appendf(make([]byte, 64<<10), "%s %d", r.Job.Output, step), 0o600); err != nil {
			return saved, err
		}
		if err := os.Rename(fresh, state); err != nil {
			return saved, err
		}
		t = since(&s.spent.wrote, t, 0)
		emit(inference.Step{Index: step, Total: r.Job.Steps})
		since(&s.spent.told, t, 0)
	}
	saved = inference.Saved{Video: r.Job.Output, ContactSheet: r.Job.Output + ".png", Sidecar: r.Job.Output + ".json"}
	for _, path := range []string{saved.Video, saved.ContactSheet, saved.Sidecar} {
		if err := os.WriteFile(path, []byte("{}"), 0o600); err != nil {
			return saved, err
		}
	}
	return saved, nil
}

// TestScale has 1 to 64 workers make jobs of the preset Production on devices that only sleep:
// a thousand times as fast as planned, or GIMBAL_SERVICE_HASTE times, so that what the service
// does weighs as many times as much as with real ones.
func TestScale(t *testing.T) {
	if os.Getenv("GIMBAL_SERVICE_MEASURE") == "" {
		t.Skip("GIMBAL_SERVICE_MEASURE is not set")
	}
	job := inference.DefaultJob()
	job.Frames, job.Steps = 41, 20
	plan := inference.Plan{Width: 832, Height: 480, Frames: 41, Time: inference.Estimate{Likely: 3 * time.Hour}} // of a Mac, roughly
	const rounds = 2
	haste, alone := 1000, 0.0
	fmt.Sscan(os.Getenv("GIMBAL_SERVICE_HASTE"), &haste)
	for _, n := range []int{1, 2, 4, 8, 16, 32, 64} {
		var over spent
		took := scale(t, n, n*rounds, job, plan, haste, &over)
		rate := float64(n*rounds) / took.Seconds()
		if n == 1 {
			alone = rate
		}
		linear := rate / alone / float64(n)
		ideal := (rounds * plan.Time.Likely / time.Duration(haste)).Seconds()
		t.Logf("%2d workers: %d jobs in %.2f s (the devices sleep for %.2f s), %.3f of linear", n, n*rounds, took.Seconds(), ideal, linear)
		job := func(sum time.Duration) float64 { return sum.Seconds() / float64(n*rounds) }
		t.Logf("   a job: the device wakes %.3f s late, writes states in %.3f s, is kept by the service for %.3f s; between two jobs there are %.3f s",
			job(time.Duration(over.late.Load())), job(time.Duration(over.wrote.Load())), job(time.Duration(over.told.Load())), job(time.Duration(n)*took-time.Duration(over.runs.Load())))
		if most := 16 * 1000 / haste; n <= most && linear < 0.95 {
			t.Errorf("%d workers are %.3f of linear, want at least 0.95", n, linear)
		}
	}
}

// scale returns how long workers take for jobs that wait already.
func scale(t *testing.T, workers, n int, job inference.Job, plan inference.Plan, haste int, sum *spent) time.Duration {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	b, err := broker.Start(broker.Options{Dir: t.TempDir(), Listen: "127.0.0.1:0"})
	must(t, err)
	defer b.Stop()
	nc, err := b.Connect()
	must(t, err)
	defer nc.Close()
	store, err := jobs.Open(t.Context(), nc, jobs.Options{Log: log})
	must(t, err)
	checkpoint := filepath.Join(golden.Dir(t), "checkpoint-tiny")
	fingerprint, err := engine.Fingerprint(checkpoint)
	must(t, err)
	ctx, stop := context.WithCancel(t.Context())
	var fleet sync.WaitGroup
	defer stop()
	for range n {
		_, err := store.Submit(ctx, jobs.Job{Model: fingerprint, Settings: job})
		must(t, err)
	}
	over := make(chan struct{})
	fleet.Go(func() {
		done := map[jobs.ID]bool{}
		store.Watch(ctx, func(c jobs.Change) {
			if c.Job != nil && c.Job.Status == jobs.Done {
				if done[c.ID] = true; len(done) == n {
					close(over)
				}
			}
		})
	})
	var all []*worker.Worker
	for i := range workers {
		conn, err := b.Connect()
		must(t, err)
		defer conn.Close()
		own, err := jobs.Open(ctx, conn, jobs.Options{Log: log})
		must(t, err)
		w, err := worker.New(ctx, worker.Options{
			Engine: &sleeper{enginetest.New(), plan, haste, sum}, Store: own, Models: []worker.Checkpoint{{Name: "tiny", Dir: checkpoint}},
			Dir: t.TempDir(), Name: fmt.Sprint("w", i), Log: log,
		})
		must(t, err)
		all = append(all, w)
	}
	began := time.Now()
	for _, w := range all {
		fleet.Go(func() { w.Run(ctx) })
	}
	select {
	case <-over:
	case <-time.After(5 * time.Minute):
		t.Fatal("the jobs are not done in five minutes")
	}
	took := time.Since(began)
	stop()
	fleet.Wait()
	return took
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
