package studio

import (
	"fmt"
	"maps"
	"strings"
	"time"

	"gimbal/inference"
	"gimbal/inference/library"
	"gimbal/inference/queue"
)

// Generate queues a run of what the form holds. If something is wrong, it only sets
// Form.Attempted; while files are still being read, it waits for that.
func (s *Studio) Generate() {
	s.userChange(func(*Snapshot) {
		clear(s.state.failed)
		s.state.wantRun = true
	})
}

// generate queues a run of what the form holds if nothing is wrong with that. s.mu is
// held.
func (s *Studio) generate(n *Snapshot) {
	if n.Form.Attempted = !n.Form.CanRun; n.Form.Attempted {
		return
	}
	if !n.Form.Inputs.SeedLocked {
		s.newSeed(n)
	}
	if !n.Busy() {
		n.Stage = Stage{} // room for the previews
	}
	dir, thumb := n.Settings.OutputDir, n.Form.Picture.Thumb
	run := library.Settings{Job: n.Form.Inputs.Job, Camera: n.Form.Inputs.Camera}
	run.Job.Assets = s.assets(n)
	if !s.usesDemo(n) {
		own := s.place(n, false)
		run.Checkpoint, run.Server = own.checkpoint, own.server
	}
	s.serial.enqueue(func() {
		if _, err := s.queue.Add(run, dir, thumb); err != nil {
			s.change(func(n *Snapshot) { s.refused(n, err, dir) })
		}
	})
}

// refused tells why a run could not be queued. s.mu is held.
func (s *Studio) refused(n *Snapshot, err error, dir string) {
	n.Form.Attempted = true
	s.state.failed = problemsOf(err, Error)
	if _, ok := s.state.failed[FieldOutput]; ok {
		s.state.failed[FieldOutput] = problem(FieldOutput, Error, OutputBad, map[string]any{"Path": dir}, err.Error())
	}
	if len(s.state.failed) == 0 {
		s.state.failed[FieldNone] = problem(FieldNone, Error, OtherProblem, map[string]any{"Text": err.Error()}, "")
	}
}

// Cancel ends a run or takes it off the queue. What it saved stays for Resume.
func (s *Studio) Cancel(id library.ID) {
	if s.queue.State().Run.Entry.ID == id {
		s.queue.Cancel(id) // at once
		return
	}
	s.serial.enqueue(func() { s.queue.Cancel(id) })
}

// Resume queues a run that was interrupted, cancelled or failed: from where it was if
// it saved that, or else from the start.
func (s *Studio) Resume(id library.ID) { s.serial.enqueue(func() { s.queue.Resume(id) }) }

// queueChanged is told what the queue does.
func (s *Studio) queueChanged(now queue.State) {
	s.change(func(n *Snapshot) {
		ended := n.Run.Active() && !now.Run.Active()
		n.State = now
		if !ended {
			return
		}
		s.recheck("estimate", "presets") // the engine learnt from the run
		if s.state.modelChanged {
			s.recheck(modelCheck(true), modelCheck(false))
		}
		s.state.modelChanged = false
		maps.Copy(s.state.failed, problemsOf(now.Run.Err, Warning)) // another attempt is free
		if now.Run.Entry.State == library.Done {
			s.show(n, now.Run.Entry)
		}
	})
}

// runNotKept is told that the library could not keep a run.
func (s *Studio) runNotKept(e library.Entry, err error) {
	s.change(func(n *Snapshot) {
		s.notice(n, Error, SaveFailed, map[string]any{"Path": s.lib.Folder(e.ID)}, err.Error())
	})
}

// Details is what to copy into a report of a run that failed.
func Details(r queue.Run) string {
	e := r.Entry
	checkpoint := e.Settings.Checkpoint
	if checkpoint == "" {
		checkpoint = "demo model"
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%v\n\nDevice: %s\nModel: %s\nStep %d of %d, %s\n", r.Err, e.Device, checkpoint, r.Step, r.Steps, e.Finished.Format(time.RFC3339))
	for _, s := range inference.Settings {
		if s.Form {
			fmt.Fprintf(&text, "%s: %s\n", s.Name, s.Text(e.Settings.Job))
		}
	}
	return text.String()
}
