package studio

import (
	"bufio"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"gimbal/assets"
	"gimbal/inference/library"
)

// killDir names the folder in which TestKilled's other process works.
const killDir = "GIMBAL_TEST_KILL_DIR"

// openReal returns a Studio with the real engine in dir, its form filled.
func openReal(t *testing.T, dir string) *bench {
	t.Helper()
	demo, err := assets.UnpackDemo(filepath.Join(dir, "cache"))
	must(t, err)
	st, err := New(Options{
		Engine: newReal(t), Dir: filepath.Join(dir, "own"), OutputDir: filepath.Join(dir, "videos"), Trash: fakeTrash(dir),
		Demo: func() (assets.Demo, error) { return demo, nil }, Log: slog.New(slog.DiscardHandler),
	})
	must(t, err)
	b := &bench{Studio: st, t: t, dir: dir, trash: dir}
	b.await("the start", func(s Snapshot) bool {
		return s.Model.Whole && s.Form.CanRun && s.Form.Picture.Width > 0 && s.Form.Tokens.Limit > 0 && s.Device.Ready
	})
	return b
}

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
	b.Edit(FieldFrames, "5")
	b.Edit(FieldSteps, "40")
	b.Edit(FieldSize, "9216")
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
	b.Edit(FieldSize, "2304")
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
	heap, goroutines := inUse()
	for range 20 {
		run()
	}
	heap2, goroutines2 := inUse()
	b.t.Logf("heap %d kB and %d kB, goroutines %d and %d", heap>>10, heap2>>10, goroutines, goroutines2)
	if heap2 > heap+1<<20 || goroutines2 > goroutines+1 {
		b.t.Errorf("after 20 more runs: heap %d kB, was %d kB; goroutines %d, were %d", heap2>>10, heap>>10, goroutines2, goroutines)
	}
}

// inUse returns the bytes in use and the goroutines, once all is quiet.
func inUse() (heap uint64, goroutines int) {
	time.Sleep(300 * time.Millisecond)
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc, runtime.NumGoroutine()
}
