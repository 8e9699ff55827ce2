package studio

import (
	"context"
	"image"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gimbal/inference"
	"gimbal/inference/clip"
	"gimbal/inference/engine"
	"gimbal/inference/library"
	"gimbal/inference/live"
)

// fakeWalker makes chunks of nothing, five a second.
type fakeWalker struct {
	dir     string
	job     inference.Job
	closing func() // called by Close; nil for nobody
	mu      sync.Mutex
	closed  bool
}

func (w *fakeWalker) Shape() engine.Shape {
	return engine.Shape{Width: 32, Height: 16, Chunk: 2, Latent: 4, Steps: 4}
}
func (w *fakeWalker) Job() inference.Job                { return w.job }
func (w *fakeWalker) Source() (dir, fingerprint string) { return w.dir, "fingerprint" }
func (w *fakeWalker) Picture() (*image.RGBA, error) {
	return image.NewRGBA(image.Rect(0, 0, 32, 16)), nil
}
func (w *fakeWalker) NewDecoder(bool) live.Decoder   { return &fakeDecoder{} }
func (w *fakeWalker) Remember(context.Context) error { return nil }
func (w *fakeWalker) Close() {
	if w.closing != nil {
		w.closing()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
}
func (w *fakeWalker) Encode(_ context.Context, text string) (*engine.Prompt, error) {
	return &engine.Prompt{Text: text}, nil
}
func (w *fakeWalker) Make(ctx context.Context, _ *clip.Path, _ *engine.Prompt) ([]float32, error) {
	select {
	case <-time.After(200 * time.Millisecond):
	case <-ctx.Done():
	}
	return make([]float32, 4), ctx.Err()
}
func (w *fakeWalker) Tell(context.Context, *clip.Path, *engine.Prompt) error { return nil }
func (w *fakeWalker) Return(context.Context, engine.Way, func(done, of int)) error {
	return nil
}
func (w *fakeWalker) Save(_ context.Context, v engine.WalkVideo, emit func(inference.Event)) (inference.Saved, error) {
	emit(inference.Decoding{Frames: 1, Total: 2})
	saved := inference.Saved{Video: v.Output}
	return saved, os.WriteFile(v.Output, nil, 0o644)
}

type fakeDecoder struct{ seen int }

func (d *fakeDecoder) Decode(_ context.Context, _ []float32, emit func(*image.RGBA) error) error {
	n := 8
	if d.seen++; d.seen == 1 {
		n = 5
	}
	for range n {
		if err := emit(image.NewRGBA(image.Rect(0, 0, 32, 16))); err != nil {
			return err
		}
	}
	return nil
}

func (d *fakeDecoder) Close() {}

// walkingBench is a bench whose demo model can be walked by.
func walkingBench(t *testing.T, test func(t *testing.T, b *bench, last func() *fakeWalker)) {
	t.Helper()
	causal := demoRecipe
	causal.Steps, causal.Causal = 4, inference.Causal{Mode: inference.CausalFast, Chunk: 2, TimestepsIndex: "0,250,500,750"}
	dir := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(dir, "demo", "lingbot_world_fast"), 0o755))
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var made *fakeWalker
		b := newBenchOf(t, dir, causal, func(_ context.Context, r engine.Request) (live.Walker, error) {
			mu.Lock()
			defer mu.Unlock()
			made = &fakeWalker{dir: r.Checkpoint, job: r.Job}
			return made, nil
		})
		defer func() { must(t, b.Close(context.Background())) }()
		test(t, b, func() *fakeWalker {
			mu.Lock()
			defer mu.Unlock()
			return made
		})
	})
}

// TestWalk walks, saves, ends and goes on.
func TestWalk(t *testing.T) {
	walkingBench(t, func(t *testing.T, b *bench, last func() *fakeWalker) {
		pictures := 0
		var mu sync.Mutex
		b.OnWalkPicture(func(live.Picture) { mu.Lock(); pictures++; mu.Unlock() })
		pass := func(d time.Duration) { time.Sleep(d); synctest.Wait() }
		pass(2 * time.Second)
		if s := b.Snapshot(); s.Walk.Can != WalkReady || s.Walk.On {
			t.Fatalf("%+v", s.Walk)
		}
		b.StartWalk(live.Input{})
		pass(time.Second)
		if s := b.Snapshot(); !s.Walk.On || !s.Walk.Waiting || s.Walk.Prompt != s.Form.Inputs.Job.Prompt {
			t.Fatalf("%+v", s.Walk)
		}
		b.HoldWalk(live.Input{Move: clip.WASD{1}})
		pass(3 * time.Second)
		b.HoldWalk(live.Input{})
		b.SayWalk("night")
		pass(3 * time.Second)
		s := b.Snapshot()
		made := len(s.Walk.Way)
		if made < 5 || s.Walk.Prompt != "night" || s.Walk.FPS < 15 {
			t.Fatalf("%+v", s.Walk)
		}
		mu.Lock()
		if pictures < 40 {
			t.Errorf("%d pictures were seen", pictures)
		}
		mu.Unlock()
		if b.WalkThumb(s.Walk.Way[0]) == nil {
			t.Error("a chunk has no picture")
		}
		b.SaveWalk()
		if now := b.Snapshot(); now.Walk.Saving == "" || now.Version == s.Version {
			t.Errorf("saving to %q is not told", now.Walk.Saving)
		}
		b.UseWalkCamera()
		pass(3 * time.Second)
		s = b.Snapshot()
		if len(s.Library.Entries) != 1 || s.Library.Entries[0].State != library.Done || s.Library.Entries[0].Settings.Job.Prompt != "night" || s.Walk.Saving != "" {
			t.Errorf("the library after saving: %+v", s.Library.Entries)
		}
		if want := (engine.Shape{Chunk: 2}).Frames(made); !strings.HasPrefix(s.Form.Inputs.Job.ActionPath, filepath.Join(b.dir, "own")) || s.Form.Camera.Poses != want || s.Form.Inputs.Job.CameraScale != clip.WalkScale {
			t.Errorf("the form has the path %q of %d poses, want %d", s.Form.Inputs.Job.ActionPath, s.Form.Camera.Poses, want)
		}
		b.GoWalk(s.Walk.Way[1])
		pass(2 * time.Second)
		last().closing = func() {
			if s := b.Snapshot(); !s.Walk.On || s.Walk.Width != 32 || len(s.Walk.Ways) == 0 {
				t.Errorf("while it ends: %+v", s.Walk)
			}
		}
		b.EndWalk()
		pass(time.Second)
		s = b.Snapshot()
		if s.Walk.On || len(s.Walk.Kept) != 1 || s.Walk.Kept[0].Chunks != 2 || !last().closed {
			t.Fatalf("after the end: %+v", s.Walk)
		}
		b.ContinueWalk(s.Walk.Kept[0].Dir)
		pass(time.Second)
		if s := b.Snapshot(); !s.Walk.On || s.Walk.At != 1 || !s.Walk.Waiting {
			t.Errorf("going on: %+v", s.Walk)
		}
		b.EndWalk()
		b.DeleteWalk(s.Walk.Kept[0].Dir)
		pass(time.Second)
		deleted := filepath.Base(s.Walk.Kept[0].Dir)
		if s := b.Snapshot(); len(s.Walk.Kept) != 0 || !exists(filepath.Join(b.trash, deleted)) {
			t.Errorf("after deleting: %+v", s.Walk.Kept)
		}
	})
}

// TestWalkBegunByAKey begins a walk with a key, a second time meanwhile and a third time when it is
// there: there is one walk, in which the first key acted.
func TestWalkBegunByAKey(t *testing.T) {
	walkingBench(t, func(t *testing.T, b *bench, _ func() *fakeWalker) {
		time.Sleep(2 * time.Second)
		b.StartWalk(live.Input{Move: clip.WASD{1}})
		b.StartWalk(live.Input{Move: clip.WASD{0, 1}})
		synctest.Wait()
		b.StartWalk(live.Input{Move: clip.WASD{0, 1}})
		synctest.Wait()
		b.HoldWalk(live.Input{})
		time.Sleep(3 * time.Second)
		s := b.Snapshot()
		if !s.Walk.On || len(s.Walk.Way) != 1 || s.Walk.Acting.Move != (clip.WASD{1}) {
			t.Errorf("%+v", s.Walk)
		}
		if walks, _ := os.ReadDir(filepath.Join(b.dir, "own", walksDir)); len(walks) != 1 {
			t.Errorf("%d walks were begun", len(walks))
		}
	})
}

// TestWalkNobodyWalked begins a walk and ends it: nothing is left of it.
func TestWalkNobodyWalked(t *testing.T) {
	walkingBench(t, func(t *testing.T, b *bench, _ func() *fakeWalker) {
		time.Sleep(2 * time.Second)
		b.StartWalk(live.Input{})
		time.Sleep(time.Second)
		b.Generate()
		b.notice(WalkFirst)
		b.EndWalk()
		time.Sleep(time.Second)
		if left, _ := os.ReadDir(filepath.Join(b.dir, "own", walksDir)); len(left) != 0 || len(b.Snapshot().Walk.Kept) != 0 {
			t.Errorf("%d folders are left", len(left))
		}
	})
}

// TestWalkCan says why there is no walk.
func TestWalkCan(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		if can := b.Snapshot().Walk.Can; can != WalkServer {
			t.Errorf("without walks on this machine: %s", can)
		}
		b.StartWalk(live.Input{})
		time.Sleep(time.Second)
		if b.Snapshot().Walk.On {
			t.Error("a walk began")
		}
	})
	walkingBench(t, func(t *testing.T, b *bench, _ func() *fakeWalker) {
		time.Sleep(2 * time.Second)
		b.Edit(FieldPrompt, " ")
		time.Sleep(time.Second)
		if can := b.Snapshot().Walk.Can; can != WalkPrompt {
			t.Errorf("without a prompt: %s", can)
		}
		b.SetPicture("")
		time.Sleep(time.Second)
		if can := b.Snapshot().Walk.Can; can != WalkPicture {
			t.Errorf("without a picture: %s", can)
		}
	})
}
