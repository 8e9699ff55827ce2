package studio

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
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
	if s.walk != nil && s.server(n) == "" {
		s.notice(n, Info, WalkFirst, nil, "")
	}
	dir, runs := n.Settings.OutputDir, wantedRuns(n.Form, s.wanted(n))
	n.Form.Against = nil
	s.serial.enqueue(func() {
		for _, run := range runs {
			if _, err := s.queue.Add(run.Settings, dir, run.Thumb); err != nil {
				s.change(func(n *Snapshot) { s.refused(n, err, dir) })
				return
			}
		}
	})
}

// wanted is a run of what the form holds. s.mu is held.
func (s *Studio) wanted(n *Snapshot) Wanted {
	run := library.Settings{Job: n.Form.Inputs.Job, Camera: n.Form.Inputs.Camera}
	run.Job.Assets = s.assets(n)
	if !s.usesDemo(n) {
		own := s.place(n, false)
		run.Checkpoint, run.Server = own.checkpoint, own.server
	}
	return Wanted{Settings: run, Thumb: n.Form.Picture.Thumb}
}

// variations returns so many runs that differ in their seeds; the first has its own.
func variations(run Wanted, n int) []Wanted {
	runs := []Wanted{run}
	for len(runs) < n {
		run.Settings.Job.Seed = rand.Uint64N(1 << 32)
		runs = append(runs, run)
	}
	return runs
}

// Compare puts a run on the stage beside those that were asked for together with it, or else
// beside the one that is there.
func (s *Studio) Compare(id library.ID) {
	s.change(func(n *Snapshot) {
		if ids := comparedWith(s.lib.Search(""), n.Stage.Entry.ID, id); len(ids) > 1 {
			s.compare(n, ids)
		}
	})
}

// CanCompare reports whether Compare has something to show.
func (n Snapshot) CanCompare(all []library.Entry, id library.ID) bool {
	return len(comparedWith(all, n.Stage.Entry.ID, id)) > 1
}

// comparedWith returns the runs that are compared with a run, itself among them: videos that are done.
func comparedWith(all []library.Entry, onStage, id library.ID) (ids []library.ID) {
	i := slices.IndexFunc(all, func(e library.Entry) bool { return e.ID == id })
	if i < 0 || all[i].State != library.Done {
		return nil
	}
	group := all[i].Settings.Group
	all = slices.SortedStableFunc(slices.Values(all), func(a, b library.Entry) int { return a.Settings.Place - b.Settings.Place })
	for _, e := range all {
		with := group != "" && e.Settings.Group == group
		if e.State == library.Done && len(ids) < MaxVariations && (with || e.ID == id) {
			ids = append(ids, e.ID)
		}
	}
	if len(ids) == 1 && onStage != "" && onStage != id && slices.ContainsFunc(all, func(e library.Entry) bool { return e.ID == onStage && e.State == library.Done }) {
		ids = []library.ID{onStage, id}
	}
	return ids
}

// compare puts runs on the stage, side by side. s.mu is held.
func (s *Studio) compare(n *Snapshot, ids []library.ID) {
	e, _ := s.lib.Get(ids[0])
	s.show(n, e)
	for _, id := range ids {
		if e, ok := s.lib.Get(id); ok {
			n.Stage.Compared = append(n.Stage.Compared, Compared{Entry: e})
		}
	}
}

// together returns the runs of a group if all of them are over and several have a video.
func (s *Studio) together(e library.Entry) []library.ID {
	if e.Settings.Group == "" {
		return nil
	}
	all := s.lib.Search("")
	for _, other := range all {
		if other.Settings.Group == e.Settings.Group && !other.State.Finished() {
			return nil
		}
	}
	return comparedWith(all, "", e.ID)
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
	if slices.ContainsFunc(s.queue.State().UnderWay(), func(r queue.Run) bool { return r.Entry.ID == id }) {
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
	s.change(func(n *Snapshot) { n.State = now })
}

// runEnded is told how a run ended.
func (s *Studio) runEnded(r queue.Run) {
	s.change(func(n *Snapshot) {
		s.recheck("estimate", "presets") // the engine learnt from the run
		if r.Entry.Settings.Server == "" {
			if s.state.modelChanged {
				s.recheck(modelCheck(true), modelCheck(false))
			}
			s.state.modelChanged = false
		}
		maps.Copy(s.state.failed, problemsOf(r.Err, Warning)) // another attempt is free
		if r.Entry.State == library.Done {
			if ids := s.together(r.Entry); len(ids) > 1 {
				s.compare(n, ids)
			} else {
				s.show(n, r.Entry)
			}
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
