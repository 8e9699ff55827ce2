package studio

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"gimbal/assets"
	"gimbal/inference/cpu"
	"gimbal/inference/device"
	"gimbal/inference/engine"
	"gimbal/inference/library"
)

// openReal returns a Studio with the real engine on the CPU and the demo model in dir, its
// form filled for a short video.
func openReal(t *testing.T, dir string) *bench {
	t.Helper()
	t.Setenv("XDG_CACHE_HOME", filepath.Join(dir, "cache")) // what is made must not go to the user's
	t.Setenv("HOME", dir)
	log := slog.New(slog.DiscardHandler)
	st, err := New(Options{
		Engine: engine.NewLocal(engine.Options{
			Open: func(context.Context) (device.Device, error) { return cpu.Open(cpu.Options{}) }, RatesDir: filepath.Join(dir, "rates"), Log: log,
		}),
		Dir: filepath.Join(dir, "own"), OutputDir: filepath.Join(dir, "videos"), Trash: fakeTrash(dir), Log: log,
		Demo: func() (assets.Demo, error) { return assets.UnpackDemo(filepath.Join(dir, "cache")) },
	})
	must(t, err)
	b := &bench{Studio: st, t: t, dir: dir, trash: dir}
	b.await("the start", func(s Snapshot) bool {
		return s.Model.Whole && s.Form.CanRun && s.Form.Picture.Width > 0 && s.Form.Tokens.Limit > 0 && s.Device.Ready
	})
	b.Edit(FieldFrames, "5")
	b.Edit(FieldSize, "2304")
	return b
}

// TestRealRun makes a video with the demo model through everything but the window,
// then cancels another, closes the program, and resumes.
func TestRealRun(t *testing.T) {
	dir := t.TempDir()
	b := openReal(t, dir)
	if got := b.Snapshot(); got.Form.Inputs.Job.Shift != 3 || got.Presets[3].Values.Steps != 12 {
		t.Errorf("the demo's recipe is not in the form: %+v", got.Form.Inputs)
	}
	b.Edit(FieldSteps, "3")
	e := b.finished(b.generate().ID, library.Done)
	s := b.await("the video", func(s Snapshot) bool { return s.Stage.Video != nil })
	if v := s.Stage.Video; v.Frames != 5 || v.Width != e.Width || v.Height != e.Height || s.Run.Memory.Process == 0 {
		t.Errorf("video %+v, entry %+v, memory %+v", v, e, s.Run.Memory)
	}
	if _, err := s.Stage.Video.Frame(4); err != nil {
		t.Error(err)
	}

	b.Edit(FieldSteps, "200")
	second := b.generate()
	b.await("steps", func(s Snapshot) bool { return s.Run.Entry.ID == second.ID && s.Run.Step >= 1 })
	must(t, b.Close(t.Context()))
	b = openReal(t, dir)
	defer func() { must(t, b.Close(t.Context())) }()
	again := b.finished(second.ID, library.Interrupted)
	if !again.CanResume() || again.Steps == 0 {
		t.Fatalf("entry %+v", again)
	}
	kept, err := os.Stat(b.queue.KeptPicture(second.ID))
	must(t, err)
	if shared, err := os.Stat(filepath.Join(again.RunDir, "picture")); err != nil || !os.SameFile(kept, shared) {
		t.Errorf("the picture is kept twice: %v", err)
	}
	b.Resume(second.ID)
	b.await("resuming", func(s Snapshot) bool { return s.Run.FirstStep > 1 && s.Run.Step >= s.Run.FirstStep })
	begin := time.Now()
	b.Cancel(second.ID)
	b.finished(second.ID, library.Cancelled)
	t.Logf("cancelling took %v", time.Since(begin))
}

// killDir names the folder in which TestKilled's other process works.
const killDir = "GIMBAL_TEST_KILL_DIR"

// TestKilled kills a program in the middle of a run, and looks at what the next one
// makes of it.
func TestKilled(t *testing.T) {
	if dir := os.Getenv(killDir); dir != "" {
		runUntilKilled(t, dir)
		return
	}
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilled$")
	cmd.Env = append(os.Environ(), killDir+"="+dir)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	id := ""
	for lines := bufio.NewScanner(out); id == "" && lines.Scan(); {
		id, _ = strings.CutPrefix(lines.Text(), "running ")
		if !strings.HasPrefix(lines.Text(), "running ") {
			id = ""
		}
	}
	must(t, cmd.Process.Kill())
	cmd.Wait()

	b := openReal(t, dir)
	defer func() { must(t, b.Close(t.Context())) }()
	b.notice(RunsInterrupted)
	e := b.finished(library.ID(id), library.Interrupted)
	if !e.CanResume() || e.Steps < 1 || b.Thumbnail(e.ID) == nil {
		t.Fatalf("entry %+v", e)
	}
	b.Resume(e.ID)
	e = b.finished(e.ID, library.Done)
	b.Show(e.ID)
	b.await("its video", func(s Snapshot) bool { return s.Stage.Video != nil && s.Stage.Video.Frames == 5 })
}

// runUntilKilled begins a run and tells on stdout when it is under way.
func runUntilKilled(t *testing.T, dir string) {
	b := openReal(t, dir)
	b.Edit(FieldSteps, "40")
	e := b.generate()
	b.await("a step", func(s Snapshot) bool { return s.Run.Step >= 2 })
	fmt.Printf("running %s\n", e.ID)
	b.finished(e.ID, library.Done)
}

// TestMemoryFlat makes 20 runs with the real engine and looks at what they leave.
func TestMemoryFlat(t *testing.T) {
	b := openReal(t, t.TempDir())
	defer func() { must(t, b.Close(t.Context())) }()
	stop := b.Subscribe(func(Snapshot) {})
	defer stop()
	b.Edit(FieldFrames, "1")
	b.Edit(FieldSteps, "1")
	b.flat(func() {
		e := b.generate()
		b.finished(e.ID, library.Done)
	})
	if held := b.o.Engine.Memory().Device; held > 64<<20 {
		t.Errorf("the device holds %d bytes after the runs", held)
	}
}

// flat makes some runs, then 20 more, after which there must be no more memory in use
// and no more goroutines.
func (b *bench) flat(run func()) {
	b.t.Helper()
	for range 3 {
		run()
	}
	heap, goroutines := b.inUse()
	for range 20 {
		run()
	}
	heap2, goroutines2 := b.inUse()
	b.t.Logf("heap %d kB and %d kB, goroutines %d and %d", heap>>10, heap2>>10, goroutines, goroutines2)
	if heap2 > heap+1<<20 || goroutines2 > goroutines+1 {
		b.t.Errorf("after 20 more runs: heap %d kB, was %d kB; goroutines %d, were %d", heap2>>10, heap>>10, goroutines2, goroutines)
	}
}

// inUse returns the bytes in use and the goroutines, once all is quiet.
func (b *bench) inUse() (heap uint64, goroutines int) {
	b.t.Helper()
	b.await("the end of all checks", func(Snapshot) bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return !b.pending(slices.Collect(maps.Keys(b.checks))...)
	})
	runtime.GC()
	runtime.GC() // what pools let go of in the first
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc, runtime.NumGoroutine()
}
