package client_test

import (
	"context"
	"errors"
	"fmt"
	"image"
	"image/png"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gimbal/inference"
	"gimbal/inference/clip"
	"gimbal/inference/device"
	"gimbal/inference/engine"
	"gimbal/inference/engine/enginetest"
	"gimbal/inference/service/api"
	"gimbal/inference/service/cause"
	"gimbal/inference/service/client"
	"gimbal/inference/service/jobs"
	"gimbal/inference/service/servicetest"
)

// remote is an Engine of a service whose engine plays.
type remote struct {
	*client.Engine
	s *servicetest.Service
	t *testing.T
}

func start(t *testing.T, o servicetest.Options, key string) *remote {
	t.Helper()
	t.Parallel()
	s := servicetest.Start(t, o)
	c, err := client.New(s.URL, key)
	must(t, err)
	e := client.NewEngine(c, slog.New(slog.DiscardHandler))
	t.Cleanup(func() { must(t, e.Close()) })
	return &remote{e, s, t}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// request is a run of two steps and five frames.
func request(t *testing.T) engine.Request {
	t.Helper()
	dir := t.TempDir()
	job := inference.DefaultJob()
	job.Image, job.Prompt, job.Frames, job.Steps = filepath.Join(dir, "picture.png"), "a walk", 5, 2
	job.Output, job.FramesDir = filepath.Join(dir, "video.mp4"), filepath.Join(dir, "frames")
	f, err := os.Create(job.Image)
	must(t, err)
	must(t, png.Encode(f, image.NewRGBA(image.Rect(0, 0, 64, 32))))
	must(t, f.Close())
	path, err := clip.Builtin("forward", 5)
	must(t, err)
	job.ActionPath = filepath.Join(dir, "camera")
	must(t, path.Write(job.ActionPath))
	return engine.Request{Checkpoint: "tiny", Job: job}
}

// events collects what a run tells.
type events struct {
	mu  sync.Mutex
	all []inference.Event
}

func (e *events) add(event inference.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, event)
}

func (e *events) kinds() (kinds []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, event := range e.all {
		kinds = append(kinds, event.Kind())
	}
	return kinds
}

func (e *events) has(kind string) bool { return slices.Contains(e.kinds(), kind) }

// begin begins a run in the background.
func (r *remote) begin(ctx context.Context, q engine.Request) (*events, chan error) {
	told, ended := &events{}, make(chan error, 1)
	go func() {
		_, err := r.Run(ctx, q, told.add)
		ended <- err
	}()
	return told, ended
}

func (r *remote) ended(ended chan error) error {
	r.t.Helper()
	select {
	case err := <-ended:
		return err
	case <-time.After(time.Minute):
		r.t.Fatal("the run does not end")
		return nil
	}
}

// TestRun makes a video on a server: its events come in order with previews, and its files and
// frames are here at the end.
func TestRun(t *testing.T) {
	r := start(t, servicetest.Options{}, "")
	q := request(t)
	told, ended := r.begin(t.Context(), q)
	r.s.Await("preparation", func() bool { return told.has("prepared") })
	r.s.Engine.Steps(1)
	r.s.Await("a step", func() bool { return told.has("step") })
	r.s.Engine.Steps(1)
	must(t, r.ended(ended))
	last := 0
	order := []string{"waiting", "notice", "prepared", "text_encoded", "picture_encoded", "step", "decoding", "saved"}
	for _, kind := range told.kinds() {
		at := slices.Index(order, kind)
		if at < 0 || at < last {
			t.Errorf("%s comes after %s", kind, order[last])
		}
		last = max(last, at)
	}
	for _, event := range told.all {
		if step, ok := event.(inference.Step); ok && step.Index == 1 && (len(step.Preview) == 0 || step.Expert != "low_noise_model" || step.Seconds != 0.5) {
			t.Errorf("the first step is %+v", step)
		}
	}
	for _, path := range []string{"video.mp4", "video.png", "video.json", "frames/frame_00005.png"} {
		if _, err := os.Stat(filepath.Join(filepath.Dir(q.Job.Output), path)); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(strings.TrimSuffix(q.Job.Output, ".mp4") + ".run"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the run's folder is still there: %v", err)
	}
	asked := r.s.Engine.Requests()[0].Job
	if asked.Prompt != "a walk" || asked.Steps != 2 || asked.ActionPath == "" || asked.FramesDir == "" {
		t.Errorf("the server's engine is asked for %+v", asked)
	}
}

// TestAway makes sure that a server that goes away is told of, that the video goes on there,
// and that it comes here when the server is back.
func TestAway(t *testing.T) {
	r := start(t, servicetest.Options{}, "")
	told, ended := r.begin(t.Context(), request(t))
	r.s.Await("preparation", func() bool { return told.has("prepared") })
	r.s.Away()
	r.s.Await("the news", func() bool { return told.has("connection") })
	r.s.Engine.Steps(2)
	r.s.Back()
	must(t, r.ended(ended))
	var connections []inference.Connection
	for _, event := range told.all {
		if c, ok := event.(inference.Connection); ok {
			connections = append(connections, c)
		}
	}
	if len(connections) != 2 || !connections[0].Away || connections[0].Why == "" || connections[1].Away || connections[0].Server != r.Name() {
		t.Errorf("connections: %+v", connections)
	}
}

// TestEnd makes sure that a run whose program ends goes on at the server and is found again,
// and that one that is cancelled ends there and can go on.
func TestEnd(t *testing.T) {
	r := start(t, servicetest.Options{}, "")
	ctx, end := context.WithCancelCause(t.Context())
	q := request(t)
	told, ended := r.begin(ctx, q)
	r.s.Await("preparation", func() bool { return told.has("prepared") })
	end(nil)
	began := time.Now()
	err := r.ended(ended)
	var paused *inference.PausedError
	if !errors.As(err, &paused) || !errors.Is(err, context.Canceled) || time.Since(began) > 10*time.Second {
		t.Fatalf("after %v: %v", time.Since(began), err)
	}
	if server, ok := client.IsRun(paused.Dir); !ok || server != r.s.URL {
		t.Errorf("the run's folder is of %q", server)
	}
	if _, err := r.Run(t.Context(), q, told.add); !errors.As(err, new(*inference.UnfinishedError)) {
		t.Errorf("begun once more: %v", err)
	}

	ctx, end = context.WithCancelCause(t.Context())
	told, ended = r.begin(ctx, engine.Request{Resume: paused.Dir})
	r.s.Await("it again", func() bool { return told.has("prepared") })
	end(engine.ErrCancelled)
	if err := r.ended(ended); !errors.As(err, &paused) {
		t.Fatal(err)
	}
	r.s.Await("its end on the server", func() bool {
		all, err := r.s.Store.List(t.Context())
		return err == nil && len(all) == 1 && all[0].Status == jobs.Cancelled
	})
	r.s.Engine.Steps(2)
	_, ended = r.begin(t.Context(), engine.Request{Resume: paused.Dir})
	must(t, r.ended(ended))
	if n := len(r.s.Engine.Requests()); n != 2 {
		t.Errorf("the server's engine is asked %d times", n)
	}
	if _, err := os.Stat(q.Job.Output); err != nil {
		t.Error(err)
	}
}

// TestFailures makes sure that what is wrong is told as at home, and leaves nothing behind.
func TestFailures(t *testing.T) {
	r := start(t, servicetest.Options{Users: []api.User{{Name: "ann", Key: "key-of-ann-0123456"}}}, "key-of-ann-0123456")
	q := request(t)
	q.Job.Guidance.Low = 1000
	_, err := r.Run(t.Context(), q, func(inference.Event) {})
	if errs := inference.SettingErrors(err); len(errs) == 0 || errs[0].Setting != "sample_guide_scale" {
		t.Errorf("a setting that cannot be: %v", err)
	}
	q = request(t)
	q.Checkpoint = "other"
	if _, err := r.Run(t.Context(), q, func(inference.Event) {}); err == nil || !strings.Contains(err.Error(), "tiny") {
		t.Errorf("a model that is not there: %v", err)
	}
	if _, err := os.Stat(strings.TrimSuffix(q.Job.Output, ".mp4") + ".run"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the run's folder is there: %v", err)
	}
	if _, err := r.Inspect(t.Context(), engine.Request{Checkpoint: "other"}); !errors.As(err, new(*inference.CheckpointError)) {
		t.Error(err)
	}
	stranger, err := client.New(r.s.URL, "wrong")
	must(t, err)
	if _, err := stranger.Models(t.Context()); err == nil || !strings.Contains(err.Error(), "key") {
		t.Errorf("a wrong key: %v", err)
	}
	dir := filepath.Join(t.TempDir(), "gone.run")
	must(t, os.Mkdir(dir, 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "server.json"), []byte(`{"server": "`+r.s.URL+`", "id": "nothing"}`), 0o644))
	if _, err := r.Run(t.Context(), engine.Request{Resume: dir}, func(inference.Event) {}); !errors.As(err, new(*inference.LostRunError)) {
		t.Errorf("a run that the server has no longer: %v", err)
	}
	must(t, os.MkdirAll(dir, 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "server.json"), []byte(`{"server": "http://elsewhere:7860", "id": "x"}`), 0o644))
	if _, err := r.Run(t.Context(), engine.Request{Resume: dir}, func(inference.Event) {}); err == nil || !strings.Contains(err.Error(), "http://elsewhere:7860") {
		t.Errorf("a run on another server: %v", err)
	}
}

// TestQuestions asks what an engine is asked before a run.
func TestQuestions(t *testing.T) {
	r := start(t, servicetest.Options{}, "")
	ctx := t.Context()
	if d, err := r.Device(ctx); err != nil || d.Name != "fake ("+r.Name()+")" || d.Limit != 1<<30 {
		t.Errorf("%+v, %v", d, err)
	}
	if names, err := r.Checkpoints(ctx); err != nil || !slices.Equal(names, []string{"tiny"}) {
		t.Error(names, err)
	}
	for _, name := range []string{"tiny", ""} {
		if m, err := r.Inspect(ctx, engine.Request{Checkpoint: name}); err != nil || m.Dir != "tiny" || !m.Whole || !m.HasCamera || m.Recipe != inference.DefaultRecipe() || len(m.Parts) == 0 {
			t.Errorf("%+v, %v", m, err)
		}
	}
	if n, err := r.Tokens(ctx, engine.Request{Checkpoint: "tiny"}, "a walk"); err != nil || n[0] != (engine.Tokens{N: 3, Limit: 8}) {
		t.Error(n, err)
	}
	q := request(t)
	if p, err := r.Plan(ctx, q); err != nil || p.Time.Likely != 10*time.Second {
		t.Errorf("%+v, %v", p, err)
	}
	if fit, _, choices, err := r.Fit(ctx, q); err != nil || fit.Job.Quant != inference.QuantINT8 || len(choices) != 1 {
		t.Errorf("%+v, %v", choices, err)
	}
}

// TestCauses makes sure that what ends a run on a worker ends it here as the same typed error.
func TestCauses(t *testing.T) {
	r := start(t, servicetest.Options{Store: jobs.Options{MaxLost: 1}}, "")
	for _, want := range []error{
		&inference.UnhealthyError{Step: 1, Expert: "low_noise_model", Where: "output", Found: "NaN"},
		&inference.SettingError{Setting: "frame_num", Mistake: inference.FramesNot4n1, Found: "40", Want: "4n+1 frames", Args: map[string]any{"Below": 37, "Above": 41}},
		&inference.MemoryError{Plan: inference.Plan{Device: "fake"}, Frames: 41},
		&inference.CheckpointError{Dir: "tiny", Err: errors.New("the VAE is not there")},
		device.ErrDeviceLost, // which another worker might not have lost
	} {
		r.s.Engine.Set(enginetest.Settings{Fail: fmt.Errorf("step 1: %w", want)})
		r.s.Engine.Steps(2)
		_, err := r.Run(t.Context(), request(t), func(inference.Event) {})
		var remote *cause.Remote
		if !errors.As(err, &remote) || remote.Where != "w" || remote.Err == nil || remote.Err.Error() != want.Error() || reflect.TypeOf(remote.Err) != reflect.TypeOf(want) || !strings.Contains(err.Error(), "step 1: "+want.Error()) {
			t.Errorf("%T arrives as %T %v", want, err, err)
		}
	}
}
