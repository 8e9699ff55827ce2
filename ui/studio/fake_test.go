package studio

import (
	"context"
	"errors"
	"image"
	"image/color"
	"image/png"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gimbal/assets"
	"gimbal/inference"
	"gimbal/inference/library"
	"gimbal/inference/plan"
	"gimbal/inference/video"
	"gimbal/inference/weights"
)

// fakeEngine plays an engine. A run reports its steps as next lets them happen.
type fakeEngine struct {
	next chan struct{} // one token a step; closed for as fast as it goes

	mu       sync.Mutex
	fail     error // what the next run ends with
	requests []Request
	whole    bool
	camera   bool
	closed   bool
}

func newFake() *fakeEngine {
	return &fakeEngine{next: make(chan struct{}, 1000), whole: true, camera: true}
}

func (f *fakeEngine) Device(context.Context) (Device, error) {
	return Device{Name: "fake", Limit: 1 << 30}, nil
}

func (f *fakeEngine) Inspect(_ context.Context, dir string) (Model, error) {
	if _, err := os.Stat(dir); err != nil {
		return Model{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.whole {
		return Model{Parts: []Part{{Name: "VAE", Error: "not there"}}}, errors.New("VAE: not there")
	}
	return Model{Whole: true, HasCamera: f.camera, Parts: []Part{{Name: "VAE", Path: dir}}}, nil
}

func (f *fakeEngine) Tokens(_ context.Context, _ string, texts ...string) ([]Tokens, error) {
	var all []Tokens
	for _, text := range texts {
		all = append(all, Tokens{N: len(strings.Fields(text)) + 1, Limit: 8})
	}
	return all, nil
}

func (f *fakeEngine) Estimate(_ context.Context, r Request) (Estimate, error) {
	n := r.Job.Frames * r.Job.Steps
	return Estimate{Known: true, Time: time.Duration(n) * time.Second, Memory: int64(n) << 20}, nil
}

// Fit makes everything fit by INT8, but not 81 frames.
func (f *fakeEngine) Fit(_ context.Context, r Request) (Request, []string, error) {
	if r.Job.Frames == 81 {
		return r, nil, errors.New("too much")
	}
	r.Quant = weights.Quant{Format: weights.INT8}
	return r, []string{"quant int8"}, nil
}

func (f *fakeEngine) Memory() Memory { return Memory{Device: 5, Limit: 10} }

func (f *fakeEngine) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	return nil
}

func (f *fakeEngine) Run(ctx context.Context, r Request, emit func(inference.Event)) (inference.Saved, error) {
	f.mu.Lock()
	f.requests = append(f.requests, r)
	fail := f.fail
	f.mu.Unlock()
	emit(inference.Loading{Part: "VAE", Done: 1, Total: 2})
	j := r.Job
	if r.Resume != "" {
		j.Steps = 3
	}
	runDir := strings.TrimSuffix(j.Output, ".mp4") + ".run"
	first := 1
	if r.Resume != "" {
		runDir, first = r.Resume, 2
	}
	os.MkdirAll(runDir, 0o755)
	emit(inference.Prepared{Width: 32, Height: 16, Frames: j.Frames, RunDir: runDir, FirstStep: first, Steps: j.Steps})
	emit(inference.Notice{Text: "a notice"})
	emit(inference.Planned{Plan: plan.Plan{Time: plan.Estimate{Likely: time.Hour}}})
	emit(inference.TextEncoded{})
	emit(inference.PictureEncoded{})
	for step := first; step <= j.Steps; step++ {
		select {
		case <-ctx.Done():
			return inference.Saved{}, ctx.Err()
		case <-f.next:
		}
		preview := []image.Image{image.NewRGBA(image.Rect(0, 0, 4, 2))}
		emit(inference.Step{Index: step, Total: j.Steps, Expert: "low_noise_model", Seconds: 0.5, Remaining: time.Minute, Preview: preview})
		if fail != nil {
			return inference.Saved{}, fail
		}
	}
	if r.Resume != "" {
		return inference.Saved{}, os.RemoveAll(runDir)
	}
	if j.FramesDir != "" {
		pngs, err := video.CreatePNGs(j.FramesDir)
		if err != nil {
			return inference.Saved{}, err
		}
		for i := range j.Frames {
			frame := image.NewRGBA(image.Rect(0, 0, 32, 16))
			frame.Set(i%32, 0, color.White)
			if err := pngs.WriteFrame(frame); err != nil {
				return inference.Saved{}, err
			}
			emit(inference.Decoding{Frames: i + 1, Total: j.Frames})
		}
	}
	saved := inference.Saved{Video: j.Output, ContactSheet: runDir[:len(runDir)-4] + ".png", Sidecar: runDir[:len(runDir)-4] + ".json"}
	for _, path := range []string{saved.Video, saved.ContactSheet, saved.Sidecar} {
		if err := os.WriteFile(path, []byte("{}"), 0o644); err != nil {
			return inference.Saved{}, err
		}
	}
	return saved, os.RemoveAll(runDir)
}

// steps lets n steps happen.
func (f *fakeEngine) steps(n int) {
	for range n {
		f.next <- struct{}{}
	}
}

// fakeTrash moves files to a folder.
type fakeTrash string

func (t fakeTrash) Trash(path string) error {
	return os.Rename(path, filepath.Join(string(t), filepath.Base(path)))
}

// bench is a Studio with a fake engine in a folder of its own.
type bench struct {
	*Studio
	t      testing.TB
	engine *fakeEngine
	dir    string
	trash  string
}

// newBench returns a Studio that has started, with all checks done.
func newBench(t testing.TB) *bench {
	t.Helper()
	b := &bench{t: t, dir: t.TempDir()}
	b.trash = filepath.Join(b.dir, "trash")
	for _, dir := range []string{b.trash, filepath.Join(b.dir, "demo", "pictures")} {
		must(t, os.MkdirAll(dir, 0o755))
	}
	writePicture(t, filepath.Join(b.dir, "demo", "pictures", "meadow.png"))
	b.start()
	t.Cleanup(func() { must(t, b.Studio.Close(context.Background())) })
	return b
}

// start opens the Studio, or opens it again.
func (b *bench) start() {
	b.t.Helper()
	b.engine = newFake()
	st, err := New(Options{
		Engine: b.engine, Dir: filepath.Join(b.dir, "own"), OutputDir: filepath.Join(b.dir, "videos"), Trash: fakeTrash(b.trash),
		Demo: func() (assets.Demo, error) {
			root := filepath.Join(b.dir, "demo")
			return assets.Demo{Checkpoint: root, Pictures: filepath.Join(root, "pictures"), Settings: assets.Settings{
				Prompt: "a meadow", Frames: 17, Steps: 3, MaxArea: 28672, Solver: "unipc", Shift: 3, Guidance: 1.5, Boundary: 1,
			}}, nil
		},
		Process: func() int64 { return 7 }, Log: slog.New(slog.DiscardHandler),
	})
	must(b.t, err)
	b.Studio = st
	b.await("the start", func(s Snapshot) bool { return !s.Form.Checking && s.Device.Ready && s.Model.Whole })
}

// restart closes the Studio and opens it again.
func (b *bench) restart() {
	b.t.Helper()
	must(b.t, b.Studio.Close(context.Background()))
	b.start()
}

// await waits until the state is as wanted.
func (b *bench) await(what string, ok func(Snapshot) bool) Snapshot {
	b.t.Helper()
	deadline := time.Now().Add(time.Minute) // other programs may be busy
	for {
		s := b.Snapshot()
		if ok(s) {
			return s
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("%s: never came; problems %v, notices %v, run %s %d/%d %s", what, s.Form.Problems, s.Notices, s.Run.Phase, s.Run.Step, s.Run.Steps, s.Run.Error)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// problem waits for a problem of the field and returns it.
func (b *bench) problem(field Field, code Code) Problem {
	b.t.Helper()
	var found Problem
	b.await(string(code), func(s Snapshot) bool {
		for _, p := range s.Form.Of(field) {
			if p.Code == code {
				found = p
				return true
			}
		}
		return false
	})
	return found
}

// notice waits for a notice and returns it.
func (b *bench) notice(code Code) Notice {
	b.t.Helper()
	var found Notice
	b.await(string(code), func(s Snapshot) bool {
		for _, n := range s.Notices {
			if n.Code == code {
				found = n
				return true
			}
		}
		return false
	})
	return found
}

// generate starts a run and returns its entry once it is running or queued.
func (b *bench) generate() library.Entry {
	b.t.Helper()
	before := b.Snapshot()
	b.Generate()
	s := b.await("the run", func(s Snapshot) bool {
		return s.Library.Total > before.Library.Total && (s.Run.Active() || len(s.Queue) > 0)
	})
	return s.Library.Entries[0]
}

// finished waits until the run is over.
func (b *bench) finished(id library.ID, state library.State) library.Entry {
	b.t.Helper()
	var e library.Entry
	b.await("the end of the run", func(s Snapshot) bool {
		for _, e = range s.Library.Entries {
			if e.ID == id {
				return e.State == state
			}
		}
		return false
	})
	return e
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func writePicture(t testing.TB, path string) {
	t.Helper()
	f, err := os.Create(path)
	must(t, err)
	must(t, png.Encode(f, image.NewRGBA(image.Rect(0, 0, 208, 128))))
	must(t, f.Close())
}
