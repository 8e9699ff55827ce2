package live

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	"gimbal/inference"
	"gimbal/inference/clip"
	"gimbal/inference/cpu"
	"gimbal/inference/device"
	"gimbal/inference/engine"
	"gimbal/inference/golden"
	"gimbal/inference/weights"
)

// real is a session over the reference's tiny causal model.
type real struct {
	*Session
	dev    device.Device
	engine *engine.Local
}

func tinyJob(t *testing.T) engine.Request {
	t.Helper()
	root := golden.Causal(t)
	at := weights.Checkpoint{Dir: filepath.Join(root, "checkpoint-tiny-fast-cam")}
	job := inference.DefaultJob()
	var err error
	if job.Recipe, err = engine.RecipeOf(at); err != nil {
		t.Fatal(err)
	}
	job.Image, job.Prompt, job.MaxArea, job.NoiseRNG = filepath.Join(root, "image.png"), "a hall with columns", 32*32, "cpu"
	job.Chunk, job.Window, job.Sink, job.FPS, job.WordsGuide = 2, 5, 1, 60, 2
	return engine.Request{Checkpoint: at.Dir, Job: job}
}

func newReal(t *testing.T, dir string) *real {
	t.Helper()
	dev, err := cpu.Open(cpu.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r := &real{dev: dev}
	r.engine = engine.NewLocal(engine.Options{
		Open: func(context.Context) (device.Device, error) { return dev, nil }, RatesDir: t.TempDir(), Log: slog.New(slog.DiscardHandler),
	})
	request := tinyJob(t)
	r.Session = New(Options{
		Open: func(ctx context.Context) (Walker, error) {
			w, err := r.engine.OpenWalk(ctx, request, func(inference.Event) {})
			if err != nil {
				return nil, err
			}
			return Of(w), nil
		},
		Dir: dir, Changed: func() {}, Picture: func(Picture) {}, Log: slog.New(slog.DiscardHandler), Idle: true,
	})
	return r
}

func (r *real) close(t *testing.T) {
	t.Helper()
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if err := r.engine.Close(); err != nil {
		t.Error(err)
	}
}

// until waits for the state to be as it is to be.
func (r *real) until(t *testing.T, what string, is func(State) bool) State {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
		st := r.State()
		if st.Phase == Failed {
			t.Fatal(st.Err)
		}
		if is(st) {
			return st
		}
	}
	t.Fatalf("waited too long for %s: %+v", what, r.State())
	return State{}
}

// walk holds an input for n chunks and waits until they are seen.
func (r *real) walk(t *testing.T, in Input, n int) State {
	t.Helper()
	chunks := len(r.State().Way)
	r.Hold(in)
	r.until(t, "chunks", func(s State) bool { return len(s.Way) >= chunks+n })
	r.Hold(Input{})
	return r.until(t, "the end", func(s State) bool { return s.Waiting && s.Ahead == 0 })
}

// TestReal walks by a model, saves, and compares with a run of the saved path.
func TestReal(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "walk")
	r := newReal(t, dir)
	r.until(t, "the model", func(s State) bool { return s.Waiting })
	r.walk(t, Input{Move: clip.WASD{1}}, 2)
	st := r.walk(t, Input{Turn: clip.IJKL{1: 1}}, 3)
	camera, frames := filepath.Join(t.TempDir(), "camera"), filepath.Join(t.TempDir(), "frames")
	video := filepath.Join(t.TempDir(), "walk.mp4")
	if err := r.SaveCamera(st.At, camera); err != nil {
		t.Fatal(err)
	}
	if _, err := r.SaveVideo(t.Context(), st.At, video, frames, func(inference.Event) {}); err != nil {
		t.Fatal(err)
	}
	job := r.walker.Job()
	r.close(t)

	job.ActionPath, job.Frames = camera, engine.Shape{Chunk: job.Chunk}.Frames(len(st.Way))
	job.Output, job.FramesDir = filepath.Join(t.TempDir(), "run.mp4"), filepath.Join(t.TempDir(), "frames")
	again := newReal(t, filepath.Join(t.TempDir(), "other"))
	defer again.close(t)
	again.until(t, "the model", func(s State) bool { return s.Waiting })
	again.Close() // makes way for the run
	if _, err := again.engine.Run(t.Context(), engine.Request{Checkpoint: tinyJob(t).Checkpoint, Job: job}, func(inference.Event) {}); err != nil {
		t.Fatal(err)
	}
	same(t, frames, job.FramesDir)
	walked, err1 := os.ReadFile(video)
	run, err2 := os.ReadFile(job.Output)
	if err1 != nil || err2 != nil || !slices.Equal(walked, run) {
		t.Errorf("the walk's video is not the run's: %d and %d bytes, %v, %v", len(walked), len(run), err1, err2)
	}
}

// same compares the files of two folders.
func same(t *testing.T, a, b string) {
	t.Helper()
	list, err := os.ReadDir(a)
	if err != nil || len(list) == 0 {
		t.Fatalf("%d frames, %v", len(list), err)
	}
	for _, f := range list {
		one, err1 := os.ReadFile(filepath.Join(a, f.Name()))
		two, err2 := os.ReadFile(filepath.Join(b, f.Name()))
		if err1 != nil || err2 != nil || !slices.Equal(one, two) {
			t.Errorf("%s differs: %v, %v", f.Name(), err1, err2)
		}
	}
}

// TestRealBack goes back and the same way again, in the same session and in the next one: the
// chunks are the same bits.
func TestRealBack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "walk")
	r := newReal(t, dir)
	r.until(t, "the model", func(s State) bool { return s.Waiting })
	in := Input{Move: clip.WASD{1}, Turn: clip.IJKL{3: 1}}
	first := r.walk(t, in, 5).Way
	r.goBack(t, first[1])
	second := r.walk(t, in, 1)
	if second.Way[2] == first[2] {
		t.Fatalf("the way did not part: %v, %v", first, second.Way)
	}
	r.alike(t, first, second.Way)
	r.close(t)

	r = newReal(t, dir)
	defer r.close(t)
	st := r.until(t, "the walk", func(s State) bool { return s.Waiting })
	if !slices.Equal(st.Way, second.Way) || len(st.Ways) != 2 {
		t.Errorf("found again: %+v", st)
	}
	third := r.walk(t, in, 1)
	r.alike(t, first, third.Way)
}

// goBack goes back to the end of a chunk.
func (r *real) goBack(t *testing.T, to int) {
	t.Helper()
	r.Go(to)
	r.until(t, "going back", func(s State) bool { return s.Waiting && s.At == to })
}

// alike compares the chunks of two ways, as far as both go.
func (r *real) alike(t *testing.T, first, second []int) {
	t.Helper()
	r.keep.Lock()
	defer r.keep.Unlock()
	for k := range min(len(first), len(second)) {
		one, err1 := r.rec.latent(first[k])
		two, err2 := r.rec.latent(second[k])
		if err1 != nil || err2 != nil || !slices.Equal(one, two) {
			t.Errorf("chunk %d differs the second time: %v, %v", k+1, err1, err2)
		}
	}
}

// TestRealWords changes the prompt and goes back to before and behind that, in the same session
// and in the next one: the chunks are the same bits.
func TestRealWords(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "walk")
	r := newReal(t, dir)
	r.until(t, "the model", func(s State) bool { return s.Waiting })
	in := Input{Move: clip.WASD{1}, Turn: clip.IJKL{3: 1}}
	before := r.walk(t, in, 4).Way
	say := func() { // and a chunk is made of it
		t.Helper()
		at := r.State().At
		r.SetPrompt("the hall by night")
		r.until(t, "a chunk by other words", func(s State) bool { return s.At != at && s.Waiting && s.Ahead == 0 })
	}
	say()
	first := r.walk(t, in, 4).Way
	r.goBack(t, before[len(before)-1])
	say()
	second := r.walk(t, in, 1).Way
	if second[len(before)] == first[len(before)] {
		t.Fatalf("the way did not part: %v, %v", first, second)
	}
	r.alike(t, first, second)
	r.goBack(t, first[len(before)+1])
	r.alike(t, first, r.walk(t, in, 1).Way)
	r.goBack(t, first[len(before)+1])
	r.close(t)

	r = newReal(t, dir)
	defer r.close(t)
	r.until(t, "the walk", func(s State) bool { return s.Waiting })
	third := r.walk(t, in, 1).Way
	if third[len(before)+2] == first[len(before)+2] {
		t.Fatalf("the way did not part: %v, %v", first, third)
	}
	r.alike(t, first, third)
}

// TestRealMemory walks on and on: device and host hold no more after many chunks. The number
// of chunks is 40, or GIMBAL_LIVE_CHUNKS.
func TestRealMemory(t *testing.T) {
	chunks := 40
	if n, err := strconv.Atoi(os.Getenv("GIMBAL_LIVE_CHUNKS")); err == nil {
		chunks = n
	}
	r := newReal(t, filepath.Join(t.TempDir(), "walk"))
	defer r.close(t)
	r.until(t, "the model", func(s State) bool { return s.Waiting })
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	walk := func(n int) (st State) {
		for ; n > 0; n -= 100 {
			st = r.walk(t, Input{Move: clip.WASD{1}}, min(n, 100))
		}
		return st
	}
	walk(chunks / 4)
	held, before := r.dev.Info().Allocated, heap()
	st := walk(chunks - chunks/4)
	more, grown := r.dev.Info().Allocated-held, heap()-before
	each := grown / int64(chunks-chunks/4)
	t.Logf("%d chunks: device %+d bytes, heap %+d, %d a chunk", len(st.Way), more, grown, each)
	if more > 0 {
		t.Errorf("the device holds %d bytes more", more)
	}
	if each > 8<<10 { // poses and where the latent is, not the latent
		t.Errorf("every chunk keeps %d bytes", each)
	}
}
