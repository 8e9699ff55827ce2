package jobs_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"gimbal/inference"
	"gimbal/inference/service/broker"
	"gimbal/inference/service/jobs"
)

const model = "f00d"

// open opens a store on a server of its own.
func open(t *testing.T, o jobs.Options) (*jobs.Store, *nats.Conn) {
	t.Helper()
	b, err := broker.Start(broker.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Stop)
	nc, err := b.Connect()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	o.Log = slog.New(slog.DiscardHandler)
	s, err := jobs.Open(t.Context(), nc, o)
	if err != nil {
		t.Fatal(err)
	}
	return s, nc
}

func submit(t *testing.T, s *jobs.Store, p jobs.Priority) jobs.Job {
	t.Helper()
	j, err := s.Submit(t.Context(), jobs.Job{Priority: p, Model: model, Settings: inference.DefaultJob()})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func next(t *testing.T, s *jobs.Store, worker string) *jobs.Claim {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, err := s.Next(ctx, worker, []string{"other", model}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func status(t *testing.T, s *jobs.Store, id jobs.ID) jobs.Job {
	t.Helper()
	j, err := s.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func nothing(*jobs.Job) {}

func TestOrder(t *testing.T) {
	t.Parallel()
	s, _ := open(t, jobs.Options{})
	low, first, second, high := submit(t, s, jobs.Low), submit(t, s, ""), submit(t, s, ""), submit(t, s, jobs.High)
	for i, want := range []jobs.ID{high.ID, first.ID, second.ID, low.ID} {
		c := next(t, s, "a")
		if c.Job.ID != want || c.Job.Status != jobs.Running || c.Job.Worker != "a" || c.Job.Attempt != 1 {
			t.Errorf("job %d is %+v, want %s", i, c.Job, want)
		}
		if err := c.End(t.Context(), jobs.Done, nothing); err != nil {
			t.Error(err)
		}
	}
	all, err := s.List(t.Context())
	if err != nil || len(all) != 4 || all[0].ID != low.ID || all[3].ID != high.ID {
		t.Errorf("the list is %v, %v", all, err)
	}
	for _, j := range all {
		if j.Status != jobs.Done || j.Ended.IsZero() {
			t.Errorf("%+v", j)
		}
	}
}

// TestLostWorker makes sure that a job whose worker is silent goes on with another, and that
// the first one then cannot change it any more.
func TestLostWorker(t *testing.T) {
	t.Parallel()
	s, _ := open(t, jobs.Options{Lease: time.Second})
	j := submit(t, s, "")
	a := next(t, s, "a")
	if err := a.Update(t.Context(), func(j *jobs.Job) { j.Step = 3 }); err != nil {
		t.Fatal(err)
	}
	b := next(t, s, "b")
	if b.Job.ID != j.ID || b.Job.Attempt != 2 || b.Job.Lost != 1 || b.Job.Step != 3 {
		t.Errorf("the second worker has %+v", b.Job)
	}
	if err := a.End(t.Context(), jobs.Done, nothing); !errors.Is(err, jobs.ErrLost) {
		t.Errorf("the first worker ends the job: %v", err)
	}
	if err := a.Keep(t.Context()); !errors.Is(err, jobs.ErrLost) {
		t.Errorf("the first worker keeps the job: %v", err)
	}
	if err := b.End(t.Context(), jobs.Done, nothing); err != nil {
		t.Error(err)
	}
	if got := status(t, s, j.ID); got.Status != jobs.Done || got.Worker != "b" {
		t.Errorf("%+v", got)
	}
}

// TestKeep makes sure that a job stays with a worker for longer than its lease.
func TestKeep(t *testing.T) {
	t.Parallel()
	s, _ := open(t, jobs.Options{Lease: 6 * time.Second})
	submit(t, s, "")
	a := next(t, s, "a")
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
	defer cancel()
	var keeping sync.WaitGroup
	keeping.Go(func() { a.Keep(ctx) })
	if c, err := s.Next(ctx, "b", []string{model}, nil); err == nil {
		t.Errorf("the second worker has %+v", c.Job)
	}
	keeping.Wait()
}

// TestPoison makes sure that a job which takes workers down fails, and says so.
func TestPoison(t *testing.T) {
	t.Parallel()
	s, _ := open(t, jobs.Options{MaxLost: 2})
	j := submit(t, s, "")
	for range 2 {
		if err := next(t, s, "a").Release(t.Context(), &jobs.Failure{Text: "no luck"}); err != nil {
			t.Fatal(err)
		}
	}
	c := next(t, s, "a")
	if err := c.Release(t.Context(), &jobs.Failure{Text: "no luck"}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	go s.Watch(ctx, func(c jobs.Change) {
		if c.Job != nil && c.Job.Status.Final() {
			cancel()
		}
	})
	s.Next(ctx, "a", []string{model}, nil)
	if got := status(t, s, j.ID); got.Status != jobs.Failed || !strings.Contains(got.Failure.Text, "3 workers were lost or failed") || !strings.Contains(got.Failure.Text, "no luck") {
		t.Errorf("%+v, %+v", got, got.Failure)
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	s, _ := open(t, jobs.Options{})
	waiting, running := submit(t, s, jobs.Low), submit(t, s, jobs.High)
	c := next(t, s, "a")
	for _, id := range []jobs.ID{waiting.ID, running.ID} {
		if _, err := s.Cancel(t.Context(), id); err != nil {
			t.Error(err)
		}
	}
	if got := status(t, s, waiting.ID); got.Status != jobs.Cancelled {
		t.Errorf("the job that waited is %+v", got)
	}
	if err := c.Keep(t.Context()); !errors.Is(err, jobs.ErrCancelled) {
		t.Errorf("the worker is told %v", err)
	}
	if err := c.End(t.Context(), jobs.Cancelled, nothing); err != nil {
		t.Error(err)
	}
	if _, err := s.Cancel(t.Context(), running.ID); !errors.Is(err, jobs.ErrFinal) {
		t.Errorf("cancelled twice: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
	defer cancel()
	if c, err := s.Next(ctx, "a", []string{model}, nil); err == nil {
		t.Errorf("a cancelled job is taken: %+v", c.Job)
	}
}

func TestFiles(t *testing.T) {
	t.Parallel()
	s, _ := open(t, jobs.Options{})
	ctx := t.Context()
	contents := strings.Repeat("a picture\n", 40_000)
	o, err := s.Put(ctx, strings.NewReader(contents))
	if err != nil || o.Size != int64(len(contents)) || len(o.SHA256) != 64 {
		t.Fatal(o, err)
	}
	if again, err := s.Put(ctx, strings.NewReader(contents)); err != nil || again != o {
		t.Error(again, err)
	}
	r, err := s.Open(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); err != nil || string(got) != contents {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	j, err := s.Submit(ctx, jobs.Job{Model: model, Inputs: jobs.Files{"picture": o}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(ctx, j.ID); !errors.Is(err, jobs.ErrRunning) {
		t.Errorf("a job that waits is deleted: %v", err)
	}
	if _, err := s.Cancel(ctx, j.ID); err != nil {
		t.Fatal(err)
	}
	if err := s.Sweep(ctx, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(ctx, j.ID); !errors.Is(err, jobs.ErrNotFound) {
		t.Errorf("an old job stays: %v", err)
	}
	if _, err := s.Open(ctx, o); err != nil { // for an hour: a job may be about to name it
		t.Error(err)
	}
}

// TestSweep removes files that no record names, and what is left of one whose worker was lost
// while it put it there.
func TestSweep(t *testing.T) {
	t.Parallel()
	s, nc := open(t, jobs.Options{Unnamed: time.Millisecond})
	ctx := t.Context()
	put := func(contents string) jobs.Object {
		t.Helper()
		o, err := s.Put(ctx, strings.NewReader(contents))
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	named, other := put("a picture"), put("nobody's")
	if _, err := s.Submit(ctx, jobs.Job{Model: model, Inputs: jobs.Files{"picture": named}}); err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := js.Publish(ctx, "$O.gimbal_files.C.half", make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(10 * time.Millisecond)
	if err := s.Sweep(ctx, time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	if r, err := s.Open(ctx, named); err != nil {
		t.Error(err)
	} else if got, err := io.ReadAll(r); err != nil || string(got) != "a picture" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := s.Open(ctx, other); !errors.Is(err, jetstream.ErrObjectNotFound) {
		t.Errorf("a file that no record names: %v", err)
	}
	stream, err := js.Stream(ctx, "OBJ_gimbal_files")
	if err != nil {
		t.Fatal(err)
	}
	if info, err := stream.Info(ctx, jetstream.WithSubjectFilter("$O.gimbal_files.C.>")); err != nil || len(info.State.Subjects) != 1 {
		t.Errorf("the store holds chunks of %v, %v", info.State.Subjects, err)
	}
}

// filesOf returns the store's files as NATS keeps them.
func filesOf(t *testing.T, nc *nats.Conn) jetstream.ObjectStore {
	t.Helper()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	files, err := js.ObjectStore(t.Context(), "gimbal_files")
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestPutAgain puts a file that is there, and that no record names: to a Sweep it is new.
func TestPutAgain(t *testing.T) {
	t.Parallel()
	s, nc := open(t, jobs.Options{Unnamed: time.Nanosecond})
	files := filesOf(t, nc)
	var last time.Time
	for range 3 {
		o, err := s.Put(t.Context(), strings.NewReader("a picture"))
		if err != nil {
			t.Fatal(err)
		}
		info, err := files.GetInfo(t.Context(), o.SHA256)
		if err != nil || !info.ModTime.After(last) {
			t.Errorf("put at %v, before at %v: %v", info.ModTime, last, err)
		}
		last = info.ModTime
		if r, err := s.Open(t.Context(), o); err != nil {
			t.Error(err)
		} else if got, err := io.ReadAll(r); err != nil || string(got) != "a picture" {
			t.Errorf("%q, %v", got, err)
		}
	}
}

// TestGetTogether fetches a file to one place several times at once.
func TestGetTogether(t *testing.T) {
	t.Parallel()
	s, _ := open(t, jobs.Options{})
	want := strings.Repeat("a video", 100_000)
	o, err := s.Put(t.Context(), strings.NewReader(want))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if err := s.GetFile(t.Context(), o, path); err != nil {
				t.Error(err)
			} else if got, err := os.ReadFile(path); err != nil || string(got) != want {
				t.Errorf("found %d bytes, %v", len(got), err)
			}
		})
	}
	group.Wait()
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("there are %v, %v", files, err)
	}
}

// TestDamaged makes sure that a file which is not what its name says ends with an error.
func TestDamaged(t *testing.T) {
	t.Parallel()
	s, nc := open(t, jobs.Options{})
	files := filesOf(t, nc)
	o := jobs.Object{SHA256: strings.Repeat("0", 64), Size: 5}
	if _, err := files.PutString(t.Context(), o.SHA256, "other"); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "file")
	if err := s.GetFile(t.Context(), o, path); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("a damaged file: %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it is there: %v", err)
	}
}

// TestAway asks while nobody answers: what is asked is asked again until somebody does, and ends with
// ErrAway when time is up.
func TestAway(t *testing.T) {
	t.Parallel()
	s, nc := open(t, jobs.Options{})
	j := submit(t, s, jobs.Normal)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteStream(t.Context(), "KV_gimbal_jobs"); err != nil { // nobody answers for it now
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := s.Get(ctx, j.ID); !errors.Is(err, jobs.ErrAway) {
		t.Errorf("nobody answers: %v", err)
	}
	var back sync.WaitGroup
	back.Go(func() {
		time.Sleep(200 * time.Millisecond)
		if _, err := js.CreateKeyValue(context.Background(), jetstream.KeyValueConfig{Bucket: "gimbal_jobs"}); err != nil {
			t.Error(err)
		}
	})
	if _, err := s.Submit(t.Context(), jobs.Job{Model: model, Settings: inference.DefaultJob()}); err != nil {
		t.Errorf("somebody answers later: %v", err)
	}
	back.Wait()
}

// TestWatchBehind has the consumer behind a watch lost, as with its server: the watch does not
// stay silent.
func TestWatchBehind(t *testing.T) {
	t.Parallel()
	s, nc := open(t, jobs.Options{})
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), "KV_gimbal_jobs")
	if err != nil {
		t.Fatal(err)
	}
	watching, ended := make(chan bool), make(chan error, 1)
	go func() { ended <- s.Watch(t.Context(), func(c jobs.Change) { watching <- c.Complete }) }()
	<-watching
	for name := range stream.ConsumerNames(t.Context()).Name() {
		if err := stream.DeleteConsumer(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	submit(t, s, jobs.Normal)
	select {
	case err := <-ended:
		if err == nil || !strings.Contains(err.Error(), "not told") {
			t.Errorf("the watch ends with %v", err)
		}
	case <-watching: // what tells was made anew
	case <-time.After(time.Minute):
		t.Error("the watch is silent")
	}
}

// TestFull makes sure that a full store refuses new files with the reason.
func TestFull(t *testing.T) {
	t.Parallel()
	s, _ := open(t, jobs.Options{MaxBytes: 100_000})
	for i := range 20 {
		_, err := s.Put(t.Context(), strings.NewReader(strings.Repeat(string(rune('a'+i)), 20_000)))
		if errors.Is(err, jobs.ErrFull) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Error("400 kB go into a store of 100 kB")
}

func TestModels(t *testing.T) {
	t.Parallel()
	s, _ := open(t, jobs.Options{})
	ctx, stop := context.WithCancel(t.Context())
	var telling sync.WaitGroup
	telling.Go(func() {
		s.Announce(ctx, []jobs.Model{{Name: "demo", Fingerprint: model, Worker: "mac studio.local"}})
	})
	want := func(n int) {
		t.Helper()
		for range 1000 {
			if all, err := s.Models(t.Context()); err != nil || len(all) == n {
				if err != nil || n > 0 && all[0].Worker != "mac studio.local" {
					t.Error(all, err)
				}
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
		t.Errorf("there are not %d models", n)
	}
	want(1)
	stop()
	telling.Wait()
	want(0)
	if _, err := s.Plan(t.Context(), model, jobs.PlanRequest{}); !errors.Is(err, jobs.ErrNoWorker) {
		t.Errorf("planned by nobody: %v", err)
	}
}

// TestResume makes sure that a job which ended without a video lives on with what it saved,
// however often, and that no message of an earlier life is taken for it.
func TestResume(t *testing.T) {
	t.Parallel()
	s, _ := open(t, jobs.Options{})
	j := submit(t, s, "")
	if _, err := s.Resume(t.Context(), j.ID); !errors.Is(err, jobs.ErrRunning) {
		t.Errorf("a job that waits: %v", err)
	}
	if _, err := s.Cancel(t.Context(), j.ID); err != nil { // its message stays
		t.Fatal(err)
	}
	for life := range 2 {
		got, err := s.Resume(t.Context(), j.ID)
		if err != nil || got.Status != jobs.Queued || got.Cancel || got.Step != life {
			t.Fatalf("%+v, %v", got, err)
		}
		c := next(t, s, "a")
		if c.Job.ID != j.ID || len(c.Job.State) != life {
			t.Errorf("life %d begins with %+v", life, c.Job)
		}
		err = c.Update(t.Context(), func(j *jobs.Job) { j.Step, j.State = life+1, jobs.Files{"state": {}} })
		if err == nil {
			err = c.End(t.Context(), jobs.Failed, func(j *jobs.Job) { j.Failure = &jobs.Failure{Text: "no"} })
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Resume(t.Context(), j.ID); err != nil {
		t.Fatal(err)
	}
	if err := next(t, s, "a").End(t.Context(), jobs.Done, nothing); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Resume(t.Context(), j.ID); !errors.Is(err, jobs.ErrDone) {
		t.Errorf("a job that is done: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
	defer cancel()
	if c, err := s.Next(ctx, "a", []string{model}, nil); err == nil {
		t.Errorf("it is taken once more: %+v", c.Job)
	}
}

// TestAble makes sure that jobs which a worker is not able to make wait for one that is.
func TestAble(t *testing.T) {
	t.Parallel()
	s, _ := open(t, jobs.Options{})
	special, err := s.Submit(t.Context(), jobs.Job{Model: model, LoRAs: map[string]string{"walk": "f"}})
	if err != nil {
		t.Fatal(err)
	}
	plain := submit(t, s, "")
	c, err := s.Next(t.Context(), "a", []string{model}, func(j *jobs.Job) bool { return len(j.LoRAs) == 0 })
	if err != nil || c.Job.ID != plain.ID {
		t.Fatalf("%+v, %v", c, err)
	}
	if c = next(t, s, "b"); c.Job.ID != special.ID || c.Job.Attempt != 1 {
		t.Errorf("%+v", c.Job)
	}
}

// TestLate makes sure that a worker which is late leaves the job to the one that has it: were
// that lost, too, a third one would go on.
func TestLate(t *testing.T) {
	t.Parallel()
	s, _ := open(t, jobs.Options{Lease: time.Second})
	j := submit(t, s, "")
	for i, end := range []func(c *jobs.Claim) error{
		func(c *jobs.Claim) error { return c.End(t.Context(), jobs.Done, nothing) },
		func(c *jobs.Claim) error { return c.Release(t.Context(), nil) },
	} {
		late, now := next(t, s, "late"), next(t, s, "now") // which no one keeps for long
		if late.Job.ID != j.ID || now.Job.ID != j.ID || now.Job.Attempt != 2*i+2 {
			t.Fatalf("%+v, %+v", late.Job, now.Job)
		}
		if err := end(late); !errors.Is(err, jobs.ErrLost) {
			t.Errorf("the late one is told %v", err)
		}
		if got := status(t, s, j.ID); got.Status != jobs.Running || got.Worker != "now" {
			t.Errorf("the job is %+v", got)
		}
	}
	if c := next(t, s, "third"); c.Job.ID != j.ID {
		t.Errorf("the third one has %+v", c.Job)
	}
}

// TestMend makes sure that jobs whose messages were lost are queued again, and others are not.
func TestMend(t *testing.T) {
	t.Parallel()
	s, nc := open(t, jobs.Options{})
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	lost, over := submit(t, s, ""), submit(t, s, "")
	if _, err := s.Cancel(t.Context(), over.ID); err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), "GIMBAL_JOBS")
	if err == nil {
		err = stream.Purge(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	submit(t, s, "")
	for range 2 {
		if err := s.Mend(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := stream.Info(t.Context()); err != nil || info.State.Msgs != 2 {
		t.Errorf("there are %d messages, %v", info.State.Msgs, err)
	}
	next(t, s, "a")
	if c := next(t, s, "a"); c.Job.ID != lost.ID {
		t.Errorf("%+v", c.Job)
	}
}
