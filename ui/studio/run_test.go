package studio

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gimbal/inference/device"
	"gimbal/inference/library"
)

func TestRun(t *testing.T) {
	b := newBench(t)
	e := b.generate()
	b.await("the plan", func(s Snapshot) bool {
		left := s.Run.Remaining
		return s.Run.Phase == PhaseSampling && left > 59*time.Minute && left <= time.Hour
	})
	b.engine.steps(1)
	s := b.await("a step", func(s Snapshot) bool { return s.Run.Step == 1 })
	r := s.Run
	if r.Phase != PhaseSampling || r.Steps != 3 || r.Expert == "" || r.StepSeconds != 0.5 || len(r.Preview) != 1 || r.Remaining <= 0 || !s.Busy() {
		t.Errorf("after a step: %+v", r)
	}
	b.await("memory", func(s Snapshot) bool { return s.Run.Memory == Memory{Device: 5, Limit: 10, Process: 7} })
	if len(r.Messages) != 1 || r.Fraction <= shareBefore || r.Fraction >= 1 {
		t.Errorf("messages %v, fraction %v", r.Messages, r.Fraction)
	}
	b.engine.steps(2)
	e = b.finished(e.ID, library.Done)
	s = b.await("the stage", func(s Snapshot) bool { return s.Stage.Video != nil })
	if s.Stage.Entry.ID != e.ID || s.Stage.Video.Frames != 17 || s.Stage.Video.Width != 32 || len(s.Stage.Camera.Points) != 5 {
		t.Errorf("stage %+v", s.Stage)
	}
	if s.Run.Fraction != 1 || s.Busy() || e.Seconds <= 0 || e.RunDir != "" {
		t.Errorf("after the run: %+v, %+v", s.Run, e)
	}
	if b.Thumbnail(e.ID) == nil {
		t.Error("no thumbnail")
	}
	if base := filepath.Base(e.Video); !strings.HasPrefix(base, "a meadow 2") {
		t.Errorf("the video is called %q", base)
	}
}

func TestQueue(t *testing.T) {
	b := newBench(t)
	first, second := b.generate(), b.generate()
	if first.ID == second.ID || first.Settings.Job.Output == second.Settings.Job.Output {
		t.Fatalf("runs %+v, %+v", first, second)
	}
	if first.Settings.Job.Seed == second.Settings.Job.Seed {
		t.Error("two runs with an unlocked seed have the same one")
	}
	third := b.generate()
	b.Cancel(third.ID)
	b.finished(third.ID, library.Cancelled)
	b.engine.steps(3)
	b.finished(first.ID, library.Done)
	b.await("the second run", func(s Snapshot) bool { return s.Run.Entry.ID == second.ID && len(s.Queue) == 0 })
	b.engine.steps(3)
	b.finished(second.ID, library.Done)
}

func TestCancel(t *testing.T) {
	b := newBench(t)
	e := b.generate()
	b.engine.steps(1)
	b.await("a step", func(s Snapshot) bool { return s.Run.Step == 1 })
	begin := time.Now()
	b.Cancel(e.ID)
	if phase := b.Snapshot().Run.Phase; phase != PhaseCancelling && phase != PhaseFinished {
		t.Errorf("right after Cancel: %q", phase)
	}
	e = b.finished(e.ID, library.Cancelled)
	if took := time.Since(begin); took > time.Second {
		t.Errorf("cancelling took %v", took)
	}
	if !e.CanResume() {
		t.Errorf("cannot be resumed: %+v", e)
	}
	b.Resume(e.ID)
	b.await("resuming", func(s Snapshot) bool { return s.Run.Entry.ID == e.ID && s.Run.FirstStep == 2 })
	if r := b.engine.requests[1]; r.Resume != e.RunDir {
		t.Errorf("asked for %+v", r)
	}
	b.engine.steps(2)
	b.finished(e.ID, library.Done)
	next := b.generate()
	b.engine.steps(3)
	b.finished(next.ID, library.Done)
}

func TestFailure(t *testing.T) {
	b := newBench(t)
	b.engine.fail = fmt.Errorf("step 1: %w: 5 GB (the run is kept in /x: resume it with --resume /x)", device.ErrOutOfMemory)
	e := b.generate()
	b.engine.steps(1)
	e = b.finished(e.ID, library.Failed)
	r := b.Snapshot().Run
	if r.Code != RunOutOfMemory || !strings.Contains(r.Details, "5 GB") || !strings.Contains(r.Details, "seed") || e.Error == "" {
		t.Errorf("run %+v", r)
	}
	b.engine.fail = errors.New("action_path: nothing there\nimage: is odd")
	e = b.generate()
	b.engine.steps(1)
	b.finished(e.ID, library.Failed)
	b.problem(FieldCamera, OtherProblem)
	p := b.problem(FieldPicture, OtherProblem)
	if p.Text != "image: is odd" || !b.Snapshot().Form.CanRun {
		t.Errorf("problem %+v", p)
	}
	b.Edit(FieldPicture, b.Snapshot().Form.Inputs.Picture)
	if left := b.Snapshot().Form.Of(FieldPicture); len(left) != 0 {
		t.Errorf("still there after an edit: %v", left)
	}
}

// TestInputsGone deletes and changes what a waiting run needs.
func TestInputsGone(t *testing.T) {
	b := newBench(t)
	camera := filepath.Join(b.dir, "camera")
	writeCamera(t, camera, 17)
	picture := filepath.Join(b.dir, "p.png")
	writePicture(t, picture)
	b.Drop([]string{picture, camera})
	b.await("the drop", func(s Snapshot) bool {
		return s.Form.Camera.Poses == 17 && s.Form.Picture.Path == picture && s.Form.CanRun
	})
	first, second := b.generate(), b.generate()
	must(t, os.RemoveAll(camera))
	must(t, os.Remove(picture))
	b.problem(FieldPicture, PictureGone)
	b.problem(FieldCamera, CameraGone)
	b.engine.steps(6)
	b.finished(first.ID, library.Done)
	b.finished(second.ID, library.Done)
	r := b.engine.requests[1]
	for _, path := range []string{r.Job.Image, filepath.Join(r.Job.ActionPath, "poses.npy")} {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
	b.CopySettings(second.ID)
	b.await("copied settings", func(s Snapshot) bool { return s.Form.Picture.Width > 0 && s.Form.Camera.Poses == 17 })
}

func TestInterrupted(t *testing.T) {
	b := newBench(t)
	running, waiting := b.generate(), b.generate()
	b.engine.steps(1)
	b.await("a step", func(s Snapshot) bool { return s.Run.Step == 1 })
	b.restart()
	s := b.await("the library", func(s Snapshot) bool { return s.Library.Total == 2 })
	for _, e := range s.Library.Entries {
		if e.State != library.Interrupted {
			t.Errorf("%s is %s", e.ID, e.State)
		}
		if e.ID == running.ID && !e.CanResume() {
			t.Errorf("cannot be resumed: %+v", e)
		}
	}
	b.notice(RunsInterrupted)
	b.Resume(waiting.ID) // it had not begun: from the start
	b.engine.steps(3)
	b.finished(waiting.ID, library.Done)
}

func TestCloseInTime(t *testing.T) {
	b := newBench(t)
	b.generate()
	begin := time.Now()
	must(t, b.Close(context.Background()))
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("closing took %v", took)
	}
	if !b.engine.closed {
		t.Error("the engine is open")
	}
}
