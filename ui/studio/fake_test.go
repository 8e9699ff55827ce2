package studio

import (
	"context"
	"image"
	"image/png"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gimbal/assets"
	"gimbal/inference"
	"gimbal/inference/engine"
	"gimbal/inference/engine/enginetest"
	"gimbal/inference/library"
	"gimbal/inference/live"
	"gimbal/inference/queue"
)

// fakeTrash moves files to a folder.
type fakeTrash string

func (t fakeTrash) Trash(path string) error {
	return os.Rename(path, filepath.Join(string(t), filepath.Base(path)))
}

// fakeWatcher sees what the test says.
type fakeWatcher struct {
	changed func(path string)
	mu      sync.Mutex
	paths   []string
}

func (w *fakeWatcher) Add(path string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Contains(w.paths, path) {
		w.paths = append(w.paths, path)
	}
}

func (w *fakeWatcher) Keep(paths ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.paths = slices.DeleteFunc(w.paths, func(path string) bool { return !slices.Contains(paths, path) })
}

func (w *fakeWatcher) Close() {}

// bench is a Studio in a folder of its own.
type bench struct {
	*Studio
	t      testing.TB
	engine *enginetest.Engine
	files  *fakeWatcher
	dir    string
	trash  string
	recipe inference.Recipe // of the demo model
	walk   func(context.Context, engine.Request) (live.Walker, error)
	hub    func(Options) Options // adds one; nil for none
}

// demoRecipe suits the demo model of a bench.
var demoRecipe = inference.Recipe{
	Frames: 17, Steps: 3, MaxArea: 28672, Solver: "unipc", Shift: 3, Guidance: inference.Guidance{Low: 1.5, High: 1.5}, Boundary: 1,
}

// inBubble runs a test of a Studio with a fake engine, on a clock of its own. The Studio
// has started, with all checks done.
func inBubble(t *testing.T, test func(t *testing.T, b *bench)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, dir)
		defer func() { must(t, b.Close(context.Background())) }()
		test(t, b)
	})
}

// newBench returns a Studio with a fake engine that has started, with all checks done.
func newBench(t testing.TB, dir string) *bench {
	t.Helper()
	return newBenchOf(t, dir, demoRecipe, nil)
}

// newBenchOf is newBench with another demo model, and one to walk by.
func newBenchOf(t testing.TB, dir string, recipe inference.Recipe, walk func(context.Context, engine.Request) (live.Walker, error)) *bench {
	t.Helper()
	b := &bench{t: t, dir: dir, trash: filepath.Join(dir, "trash"), recipe: recipe, walk: walk}
	for _, dir := range []string{b.trash, filepath.Join(dir, "demo", "pictures")} {
		must(t, os.MkdirAll(dir, 0o755))
	}
	writePicture(t, filepath.Join(dir, "demo", "pictures", "meadow.png"))
	b.start()
	return b
}

// options are those of a Studio with a fake engine.
func (b *bench) options() Options {
	root := filepath.Join(b.dir, "demo")
	b.engine = enginetest.New()
	b.set(enginetest.Settings{})
	return Options{
		Engine: b.engine, OpenWalk: b.walk, Dir: filepath.Join(b.dir, "own"), OutputDir: filepath.Join(b.dir, "videos"), Trash: fakeTrash(b.trash),
		Demo: func() (assets.Demo, error) {
			return assets.Demo{Checkpoint: root, Pictures: filepath.Join(root, "pictures"), Settings: assets.Settings{Prompt: "a meadow"}}, nil
		},
		Process: func() int64 { return 7 }, Log: slog.New(slog.DiscardHandler),
		watch: func(changed func(string)) watcher {
			b.files = &fakeWatcher{changed: changed}
			return b.files
		},
	}
}

// set changes what the engine plays; the demo model has its recipe in any case.
func (b *bench) set(s enginetest.Settings) {
	if s.Recipes == nil {
		s.Recipes = map[string]inference.Recipe{}
	}
	s.Recipes[filepath.Join(b.dir, "demo")] = b.recipe
	b.engine.Set(s)
}

// start opens the Studio, or opens it again.
func (b *bench) start() {
	b.t.Helper()
	o := b.options()
	if b.hub != nil {
		o = b.hub(o)
	}
	st, err := New(o)
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

// await waits until the state is as wanted: in a bubble on its clock, which costs nothing.
func (b *bench) await(what string, ok func(Snapshot) bool) Snapshot {
	b.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		s := b.Snapshot()
		if ok(s) {
			return s
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("%s: never came; problems %v, notices %v, run %s %d/%d %v", what, s.Form.Problems, s.Notices, s.Run.Phase, s.Run.Step, s.Run.Steps, s.Run.Err)
		}
	}
}

// seen has the Studio see a change of a file or folder, which it must be watching.
func (b *bench) seen(path string) {
	b.t.Helper()
	synctest.Wait()
	b.files.mu.Lock()
	watched := slices.Contains(b.files.paths, path)
	b.files.mu.Unlock()
	if !watched {
		b.t.Fatalf("%s is not watched, only %q", path, b.files.paths)
	}
	b.files.changed(path)
	synctest.Wait()
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
	time.Sleep(5 * time.Millisecond) // runs are sorted by the time at which they are made
	before := b.Snapshot()
	b.Generate()
	s := b.await("the run", func(s Snapshot) bool { return s.Library.Total > before.Library.Total && s.Busy() })
	return s.Library.Entries[0]
}

// finished waits until the run is over, for the library and for the queue, which hears of it after.
func (b *bench) finished(id library.ID, state library.State) library.Entry {
	b.t.Helper()
	var e library.Entry
	b.await("the end of the run", func(s Snapshot) bool {
		i := slices.IndexFunc(s.Library.Entries, func(e library.Entry) bool { return e.ID == id })
		if i < 0 || slices.ContainsFunc(s.UnderWay(), func(r queue.Run) bool { return r.Entry.ID == id }) {
			return false
		}
		e = s.Library.Entries[i]
		return e.State == state
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
