package queue

import (
	"errors"
	"fmt"
	"image"
	"image/png"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"gimbal/inference"
	"gimbal/inference/clip"
	"gimbal/inference/device"
	"gimbal/inference/engine"
	"gimbal/inference/engine/enginetest"
	"gimbal/inference/library"
	"gimbal/inference/service/cause"
	"gimbal/inference/service/cause/causetest"
)

// bench is a Queue with a fake engine and a library of its own.
type bench struct {
	*Queue
	t      *testing.T
	engine *enginetest.Engine
	server *server
	lib    *library.Library
	dir    string

	mu    sync.Mutex
	told  []State
	over  []Run   // that ended
	lost  []error // of runs that were not kept
	ended bool
}

// inBubble runs a test of a Queue on a clock of its own.
func inBubble(t *testing.T, test func(b *bench)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := &bench{t: t, dir: dir}
		writePicture(t, b.at("picture.png"))
		b.open()
		defer b.close()
		test(b)
	})
}

func (b *bench) at(name string) string { return filepath.Join(b.dir, name) }

// open makes the Queue, or makes it again.
func (b *bench) open() {
	b.t.Helper()
	lib, err := library.Open(b.at("library"))
	must(b.t, err)
	b.lib, b.engine, b.server, b.ended = lib, enginetest.New(), newServer(), false
	b.Queue = New(Options{
		Engine: b.engine, Library: lib, Demo: func() string { return b.dir }, Process: func() int64 { return 7 }, Log: slog.New(slog.DiscardHandler),
		Changed: func(s State) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.told = append(b.told, s)
		},
		Remote: func(string) (engine.Engine, error) { return b.server, nil },
		Ended: func(r Run) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.over = append(b.over, r)
		},
		NotKept: func(_ library.Entry, err error) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.lost = append(b.lost, err)
		},
	})
}

func (b *bench) close() {
	b.t.Helper()
	if !b.ended {
		b.ended = true
		b.Queue.Close()
		must(b.t, b.lib.Close())
	}
}

// settings are those of a run of five frames in three steps.
func (b *bench) settings() library.Settings {
	job := inference.DefaultJob()
	job.Image, job.Prompt, job.Frames, job.Steps = b.at("picture.png"), "a meadow: at noon!", 5, 3
	return library.Settings{Job: job, Camera: "forward"}
}

// add adds a run, a second after whatever was before.
func (b *bench) add(s library.Settings) library.Entry {
	b.t.Helper()
	time.Sleep(time.Second)
	e, err := b.Add(s, b.at("videos"), nil)
	must(b.t, err)
	synctest.Wait()
	return e
}

// entry returns a run as the library has it, once all is quiet.
func (b *bench) entry(id library.ID) library.Entry {
	b.t.Helper()
	synctest.Wait()
	e, ok := b.lib.Get(id)
	if !ok {
		b.t.Fatalf("the library has no run %s", id)
	}
	return e
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func writePicture(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	must(t, err)
	must(t, png.Encode(f, image.NewRGBA(image.Rect(0, 0, 208, 128))))
	must(t, f.Close())
}

func TestRun(t *testing.T) {
	inBubble(t, func(b *bench) {
		e := b.add(b.settings())
		if s := b.State(); s.Run.Phase != Sampling || s.Run.Remaining <= 59*time.Minute || !s.Busy() {
			t.Errorf("before the first step: %+v", s.Run)
		}
		b.engine.Steps(1)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		r := b.State().Run
		if r.Step != 1 || r.Steps != 3 || r.Expert == "" || r.StepSeconds != 0.5 || len(r.Preview) != 1 || r.Remaining != 50*time.Second || r.Elapsed < 10*time.Second {
			t.Errorf("after a step: %+v", r)
		}
		if want := (Memory{engine.Memory{Device: 5, Limit: 10}, 7}); r.Memory != want || len(r.Notices) != 1 || r.Fraction <= shareBefore || r.Fraction >= 1 {
			t.Errorf("memory %+v, notices %v, fraction %v", r.Memory, r.Notices, r.Fraction)
		}
		if running := b.entry(e.ID); running.State != library.Running || running.RunDir == "" || running.Device != "fake" {
			t.Errorf("the library has %+v", running)
		}
		b.engine.Steps(2)
		e = b.entry(e.ID)
		if e.State != library.Done || e.Seconds < 10 || e.RunDir != "" || e.Steps != 3 || filepath.Base(e.Video) != "a meadow at noon 2000-01-01 00.00.01.mp4" {
			t.Errorf("after the run: %+v", e)
		}
		if s := b.State(); s.Run.Fraction != 1 || s.Busy() || s.Run.Preview != nil {
			t.Errorf("after the run: %+v", s)
		}
		if _, err := b.lib.Thumbnail(e.ID); err != nil {
			t.Error(err)
		}
	})
}

// TestTold makes sure that every run's phases are told, in order, and its end always.
func TestTold(t *testing.T) {
	inBubble(t, func(b *bench) {
		first, second := b.add(b.settings()), b.add(b.settings())
		b.engine.Steps(6)
		synctest.Wait()
		var told []string
		for _, s := range b.told {
			word := ""
			if s.Run.Phase != Idle {
				word = fmt.Sprint(map[library.ID]int{first.ID: 1, second.ID: 2}[s.Run.Entry.ID], " ", s.Run.Phase)
			}
			if n := len(told); word != "" && (n == 0 || told[n-1] != word) {
				told = append(told, word)
			}
		}
		want := ""
		for _, run := range []string{"1", "2"} {
			for _, p := range []Phase{Starting, Loading, EncodingText, EncodingPicture, Sampling, Decoding, Finished} {
				want += run + " " + string(p) + "\n"
			}
		}
		if got := strings.Join(told, "\n") + "\n"; got != want {
			t.Errorf("told\n%s\nwant\n%s", got, want)
		}
	})
}

func TestWaiting(t *testing.T) {
	inBubble(t, func(b *bench) {
		first, second, third := b.add(b.settings()), b.add(b.settings()), b.add(b.settings())
		if w := b.State().Waiting; len(w) != 2 || w[0].ID != second.ID || w[1].ID != third.ID {
			t.Fatalf("waiting: %+v", w)
		}
		b.Cancel(third.ID)
		if e := b.entry(third.ID); e.State != library.Cancelled || e.CanResume() {
			t.Errorf("taken off the queue: %+v", e)
		}
		b.engine.Steps(3)
		if e, s := b.entry(first.ID), b.State(); e.State != library.Done || s.Run.Entry.ID != second.ID || len(s.Waiting) != 0 {
			t.Errorf("after the first: %+v, %+v", e, s)
		}
		b.engine.Steps(3)
		if e := b.entry(second.ID); e.State != library.Done {
			t.Errorf("the second: %+v", e)
		}
		b.Cancel(second.ID) // nothing to cancel
		if e := b.entry(second.ID); e.State != library.Done {
			t.Errorf("cancelled after its end: %+v", e)
		}
	})
}

func TestNames(t *testing.T) {
	inBubble(t, func(b *bench) {
		first, err := b.Add(b.settings(), b.dir, nil)
		must(t, err)
		second, err := b.Add(b.settings(), b.dir, nil) // in the same second
		must(t, err)
		long := b.settings()
		long.Job.Prompt = strings.Repeat("水", 100)
		third, err := b.Add(long, b.dir, nil)
		must(t, err)
		for e, want := range map[library.Entry]string{
			first: "a meadow at noon 2000-01-01 00.00.00.mp4", second: "a meadow at noon 2000-01-01 00.00.00 2.mp4",
			third: strings.Repeat("水", maxTitle) + " 2000-01-01 00.00.00.mp4",
		} {
			if got := filepath.Base(e.Settings.Job.Output); got != want {
				t.Errorf("called %q, want %q", got, want)
			}
		}
	})
}

func TestCancelAndResume(t *testing.T) {
	inBubble(t, func(b *bench) {
		e := b.add(b.settings())
		b.engine.Steps(1)
		synctest.Wait()
		b.Cancel(e.ID)
		if phase := b.State().Run.Phase; phase != Cancelling && phase != Finished {
			t.Errorf("right after Cancel: %q", phase)
		}
		e = b.entry(e.ID)
		if e.State != library.Cancelled || !e.CanResume() || b.State().Run.Err != nil {
			t.Fatalf("cancelled: %+v", e)
		}
		b.Resume(e.ID)
		b.Resume(e.ID) // once is enough
		synctest.Wait()
		if s := b.State(); s.Run.Entry.ID != e.ID || s.Run.FirstStep != 2 || len(s.Waiting) != 0 {
			t.Errorf("resumed: %+v", s)
		}
		if r := b.engine.Requests()[1]; r.Resume != e.RunDir {
			t.Errorf("asked for %+v", r)
		}
		b.engine.Steps(2)
		if e = b.entry(e.ID); e.State != library.Done {
			t.Errorf("in the end: %+v", e)
		}
		b.Resume(e.ID)
		b.Resume("nothing")
		if b.State().Busy() {
			t.Error("a finished run was queued again")
		}
	})
}

// TestResumeAnew resumes a run whose state is gone: it starts again.
func TestResumeAnew(t *testing.T) {
	inBubble(t, func(b *bench) {
		e := b.add(b.settings())
		b.Cancel(e.ID)
		must(t, os.RemoveAll(b.entry(e.ID).RunDir))
		b.Resume(e.ID)
		synctest.Wait()
		if r := b.engine.Requests()[1]; r.Resume != "" || r.Job.FramesDir != b.lib.FramesDir(e.ID) {
			t.Errorf("asked for %+v", r)
		}
	})
}

func TestFailure(t *testing.T) {
	for err, cause := range map[error]library.Cause{
		fmt.Errorf("step 1: %w: 5 GB", device.ErrOutOfMemory):  library.OutOfMemory,
		fmt.Errorf("step 1: %w", device.ErrDeviceLost):         library.DeviceLost,
		fmt.Errorf("step 1: %w", device.ErrInterrupted):        library.GPUStopped,
		&inference.UnhealthyError{Step: 1, Found: "NaN"}:       library.Unhealthy,
		&inference.DiskError{Folder: "/x", Free: 1, Need: 2}:   library.DiskFull,
		fmt.Errorf("cannot write x: %w", syscall.EDQUOT):       library.DiskFull,
		&inference.MemoryError{Frames: 5}:                      library.TooLarge,
		errors.New("the moon is in the wrong quarter: step 1"): library.Other,
	} {
		inBubble(t, func(b *bench) {
			b.engine.Set(enginetest.Settings{Fail: err})
			e := b.add(b.settings())
			b.engine.Steps(1)
			e = b.entry(e.ID)
			if e.State != library.Failed || e.Cause != cause || e.Error != err.Error() || !e.CanResume() {
				t.Errorf("%v: %+v, want the cause %s", err, e, cause)
			}
			if got := b.State().Run.Err; !errors.Is(got, err) {
				t.Errorf("%v, want %v", got, err)
			}
		})
	}
}

// TestRemoteCauses makes sure that a run on a server fails for the same cause as here.
func TestRemoteCauses(t *testing.T) {
	for _, err := range causetest.Errors() {
		here, _ := explain(&inference.PausedError{Err: err})
		there, text := explain(&inference.PausedError{Err: &cause.Remote{Where: "studio", Text: err.Error(), Err: cause.Of(err, nil).Err()}})
		if here != there || text != "studio: "+err.Error() {
			t.Errorf("%v: the cause is %s here and %s there, %q", err, here, there, text)
		}
	}
}

// TestInputsGone deletes and changes what a waiting run needs.
func TestInputsGone(t *testing.T) {
	inBubble(t, func(b *bench) {
		path, err := clip.Builtin("forward", 17)
		must(t, err)
		must(t, path.Write(b.at("camera")))
		s := b.settings()
		s.Camera, s.Job.ActionPath = "", b.at("camera")
		first, second, third := b.add(s), b.add(s), b.add(b.settings())
		must(t, os.RemoveAll(b.at("camera")))
		must(t, os.WriteFile(b.at("picture.png"), []byte("another"), 0o644))
		b.engine.Steps(9)
		for i, e := range []library.Entry{first, second, third} {
			if e = b.entry(e.ID); e.State != library.Done {
				t.Fatalf("run %d: %+v", i, e)
			}
			r := b.engine.Requests()[i]
			image, camera := b.at("picture.png"), b.at("camera")
			if i > 0 {
				image = b.KeptPicture(e.ID)
			}
			if i > 0 {
				camera = b.KeptCamera(e.ID)
			}
			if r.Job.Image != image || r.Job.ActionPath != camera || r.Inputs != b.lib.Folder(e.ID) {
				t.Errorf("run %d was asked for with %+v", i, r)
			}
		}
	})
}

func TestInterrupted(t *testing.T) {
	inBubble(t, func(b *bench) {
		running, waiting := b.add(b.settings()), b.add(b.settings())
		b.engine.Steps(1)
		synctest.Wait()
		b.close()
		b.open()
		for _, id := range []library.ID{running.ID, waiting.ID} {
			if e := b.entry(id); e.State != library.Interrupted || e.CanResume() != (id == running.ID) {
				t.Errorf("after a restart: %+v", e)
			}
		}
		b.Resume(waiting.ID) // it had not begun: from the start
		b.engine.Steps(3)
		if e := b.entry(waiting.ID); e.State != library.Done {
			t.Errorf("in the end: %+v", e)
		}
	})
}

func TestRefused(t *testing.T) {
	inBubble(t, func(b *bench) {
		must(t, os.WriteFile(b.at("file"), nil, 0o644))
		_, err := b.Add(b.settings(), b.at("file/below"), nil)
		var setting *inference.SettingError
		if !errors.As(err, &setting) || setting.Setting != "save_file" || len(b.lib.Search("")) != 0 {
			t.Errorf("a folder that cannot be made: %v", err)
		}
		must(t, os.Remove(b.at("picture.png")))
		e, err := b.Add(b.settings(), b.dir, nil)
		if err == nil || b.State().Busy() || b.entry(e.ID).State != library.Failed {
			t.Errorf("a picture that is gone: %v, %+v", err, e)
		}
	})
}

func TestNotKept(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.add(b.settings())
		must(t, b.lib.Close())
		b.engine.Steps(3)
		synctest.Wait()
		if len(b.lost) == 0 || b.State().Run.Entry.State != library.Done {
			t.Errorf("told %v, run %+v", b.lost, b.State().Run)
		}
	})
}
