package studio

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gimbal/inference"
	"gimbal/inference/device"
	"gimbal/inference/engine/enginetest"
	"gimbal/inference/library"
	"gimbal/inference/queue"
)

func TestRun(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		e := b.generate()
		b.engine.Steps(1)
		s := b.await("a step", func(s Snapshot) bool { return s.Run.Step == 1 })
		if r := s.Run; r.Entry.ID != e.ID || r.Phase != queue.Sampling || r.Steps != 3 || !s.Busy() || s.Stage.Entry.ID != "" {
			t.Errorf("after a step: %+v", r)
		}
		b.engine.Steps(2)
		e = b.finished(e.ID, library.Done)
		s = b.await("the stage", func(s Snapshot) bool { return s.Stage.Video != nil })
		if s.Stage.Entry.ID != e.ID || s.Stage.Video.Frames != 17 || s.Stage.Video.Width != 32 || len(s.Stage.Camera.Points) != 5 {
			t.Errorf("stage %+v", s.Stage)
		}
		if s.Run.Fraction != 1 || s.Busy() {
			t.Errorf("after the run: %+v", s.Run)
		}
		if b.Thumbnail(e.ID) == nil {
			t.Error("no thumbnail")
		}
		if base := filepath.Base(e.Video); !strings.HasPrefix(base, "a meadow 2") || filepath.Dir(e.Video) != filepath.Join(b.dir, "videos") {
			t.Errorf("the video is %q", e.Video)
		}
	})
}

// TestDeriveOnlyComputes makes sure that nothing begins where the state is computed: not
// even a run that waits for just that.
func TestDeriveOnlyComputes(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		synctest.Wait()
		b.mu.Lock()
		b.state.wantRun = true
		before := b.now
		b.derive(&b.now)
		if !b.state.wantRun || !reflect.DeepEqual(b.now, before) {
			t.Errorf("a run wanted: %t; the state was\n%+v and is\n%+v", b.state.wantRun, before, b.now)
		}
		b.state.wantRun = false
		b.mu.Unlock()
		time.Sleep(time.Second)
		if s := b.Snapshot(); s.Busy() || s.Library.Total != 0 {
			t.Errorf("a run has begun: %+v", s.Run)
		}
	})
}

func TestQueue(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		first, second, third := b.generate(), b.generate(), b.generate()
		if first.Settings.Job.Seed == second.Settings.Job.Seed || first.Settings.Job.Output == second.Settings.Job.Output {
			t.Error("two runs with an unlocked seed have the same one, or the same video")
		}
		if s := b.Snapshot(); len(s.Waiting) != 2 || s.Waiting[1].ID != third.ID {
			t.Errorf("waiting: %+v", s.Waiting)
		}
		b.Cancel(third.ID)
		b.finished(third.ID, library.Cancelled)
		b.engine.Steps(6)
		b.finished(first.ID, library.Done)
		b.finished(second.ID, library.Done)
	})
}

func TestCancel(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		e := b.generate()
		b.engine.Steps(1)
		b.await("a step", func(s Snapshot) bool { return s.Run.Step == 1 })
		begin := time.Now()
		b.Cancel(e.ID)
		if phase := b.Snapshot().Run.Phase; phase != queue.Cancelling && phase != queue.Finished {
			t.Errorf("right after Cancel: %q", phase)
		}
		e = b.finished(e.ID, library.Cancelled)
		if took := time.Since(begin); took > time.Second {
			t.Errorf("cancelling took %v", took)
		}
		b.Resume(e.ID)
		b.await("resuming", func(s Snapshot) bool { return s.Run.Entry.ID == e.ID && s.Run.FirstStep == 2 })
		b.engine.Steps(2)
		b.finished(e.ID, library.Done)
		next := b.generate()
		b.engine.Steps(3)
		b.finished(next.ID, library.Done)
	})
}

func TestFailure(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.set(enginetest.Settings{Fail: fmt.Errorf("step 1: %w: 5 GB", device.ErrOutOfMemory)})
		e := b.generate()
		b.engine.Steps(1)
		e = b.finished(e.ID, library.Failed)
		if text := Details(b.Snapshot().Run); e.Cause != library.OutOfMemory || !strings.Contains(text, "5 GB") || !strings.Contains(text, "base_seed: ") {
			t.Errorf("%+v, details %s", e, text)
		}
		b.set(enginetest.Settings{Fail: errors.Join(
			&inference.SettingError{Setting: "action_path", Err: errors.New("nothing there")},
			&inference.SettingError{Setting: "image", Mistake: inference.Unusable, Found: "an odd one", Want: "an even one"},
			&inference.SettingError{Setting: "magcache", Mistake: inference.Unusable, Err: &inference.UncalibratedError{Checkpoint: "/model", Cache: "MagCache"}},
			&inference.CheckpointError{Dir: "/model", Err: errors.New("gone")},
		)})
		e = b.generate()
		b.engine.Steps(1)
		b.finished(e.ID, library.Failed)
		b.problem(FieldCamera, OtherProblem)
		b.problem(FieldModel, OtherProblem)
		if p := b.problem("magcache", Uncalibrated); !strings.Contains(p.Text, "gimbal bench calibrate --ckpt_dir /model") {
			t.Errorf("problem %+v", p)
		}
		p := b.problem(FieldPicture, OtherProblem)
		if p.Text != "image: an odd one, want an even one" || !b.Snapshot().Form.CanRun {
			t.Errorf("problem %+v", p)
		}
		b.Edit(FieldPicture, b.Snapshot().Form.Inputs.Job.Image)
		if left := b.Snapshot().Form.Of(FieldPicture); len(left) != 0 {
			t.Errorf("still there after an edit: %v", left)
		}
	})
}

// TestInputsGone deletes what a run was made of, and copies its settings.
func TestInputsGone(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		camera := filepath.Join(b.dir, "camera")
		writeCamera(t, camera, 17)
		picture := filepath.Join(b.dir, "p.png")
		writePicture(t, picture)
		b.Drop([]string{picture, camera})
		b.await("the drop", func(s Snapshot) bool {
			return s.Form.Camera.Poses == 17 && s.Form.Picture.Path == picture && s.Form.CanRun
		})
		e := b.generate()
		must(t, os.RemoveAll(camera))
		must(t, os.Remove(picture))
		b.seen(picture)
		b.seen(camera)
		b.problem(FieldPicture, PictureGone)
		b.problem(FieldCamera, CameraGone)
		b.engine.Steps(3)
		b.finished(e.ID, library.Done)
		b.CopySettings(e.ID)
		b.await("copied settings", func(s Snapshot) bool { return s.Form.Picture.Width > 0 && s.Form.Camera.Poses == 17 })
	})
}

func TestInterrupted(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		running, waiting := b.generate(), b.generate()
		b.engine.Steps(1)
		b.await("a step", func(s Snapshot) bool { return s.Run.Step == 1 })
		b.restart()
		b.finished(running.ID, library.Interrupted)
		b.finished(waiting.ID, library.Interrupted)
		b.notice(RunsInterrupted)
		b.Resume(waiting.ID) // it had not begun: from the start
		b.engine.Steps(3)
		b.finished(waiting.ID, library.Done)
	})
}

func TestCloseInTime(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.generate()
		begin := time.Now()
		must(t, b.Close(context.Background()))
		if took := time.Since(begin); took > 2*time.Second {
			t.Errorf("closing took %v", took)
		}
		if !b.engine.Closed() {
			t.Error("the engine is open")
		}
	})
}
