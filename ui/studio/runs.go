package studio

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"

	"gimbal/inference/camera"
	"gimbal/inference/library"
	"gimbal/inference/video"
)

// Generate queues a run of what the form holds. If something is wrong, it only sets
// Form.Attempted; while files are still being read, it waits for that.
func (s *Studio) Generate() {
	s.touch(func(n *Snapshot) {
		clear(s.facts.after)
		s.facts.wantRun = true // derive goes on
	})
}

// enqueue queues a run of what the form holds if nothing is wrong with that. s.mu is
// held.
func (s *Studio) enqueue(n *Snapshot) {
	n.Form.Attempted = !n.Form.CanRun
	if !n.Form.CanRun {
		return
	}
	if !n.Form.Inputs.SeedLocked {
		s.roll(n)
	}
	if !n.Run.Active() && len(n.Queue) == 0 {
		n.Stage = Stage{} // room for the previews
	}
	in, dir, thumb := n.Form.Inputs, n.Settings.OutputDir, n.Form.Picture.Thumb
	settings := library.Settings{Job: in.job(), Camera: in.Camera.Name, Quant: in.Quant}
	if !s.usesDemo(n) {
		settings.Checkpoint = n.Settings.ModelFolder
	}
	s.chores.add(func() {
		settings.Job.Output = outputPath(dir, in.Prompt, time.Now(), s.lib.Search(""))
		e, wrong, err := s.admit(settings)
		s.change(func(n *Snapshot) {
			switch {
			case err != nil:
				p := problem(wrong, Error, OutputBad, map[string]any{"Path": dir}, err.Error())
				if wrong != FieldOutput {
					p = problem(wrong, Error, OtherProblem, map[string]any{"Text": err.Error()}, "")
				}
				n.Form.Attempted = true
				s.facts.after[wrong] = p
			default:
				s.facts.shelf++
				s.line(n, e, false)
			}
		})
		if err == nil && thumb != nil {
			if err := s.lib.SetThumbnail(e.ID, thumb); err != nil {
				s.o.Log.Warn("keeping a thumbnail", "err", err)
			}
		}
	})
}

// line puts a run at the end of the queue. s.mu is held.
func (s *Studio) line(n *Snapshot, e library.Entry, resume bool) {
	n.Queue = append(slices.Clip(n.Queue), e)
	if delete(s.facts.resume, e.ID); resume {
		s.facts.resume[e.ID] = true
	}
	select {
	case s.queued <- struct{}{}:
	default:
	}
}

// outputPath returns a free name for a video in dir: the prompt's beginning and the
// time. Runs that wait have their names already.
func outputPath(dir, prompt string, now time.Time, runs []library.Entry) string {
	const most = 40
	name := strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsDigit(r) {
			return r
		}
		return ' '
	}, prompt)
	if runes := []rune(strings.Join(strings.Fields(name), " ")); len(runes) > most {
		name = string(runes[:most])
	} else {
		name = string(runes)
	}
	taken := map[string]bool{}
	for _, e := range runs {
		taken[e.Settings.Job.Output] = true
	}
	stem := filepath.Join(dir, strings.TrimSpace(name+" "+now.Format("2006-01-02 15.04.05")))
	path := stem + ".mp4"
	for k := 2; taken[path] || slices.ContainsFunc([]string{".mp4", ".png", ".json", ".run"}, func(ext string) bool {
		return exists(strings.TrimSuffix(path, ".mp4") + ext)
	}); k++ {
		path = fmt.Sprintf("%s %d.mp4", stem, k)
	}
	return path
}

// admit makes the library's entry of a run and keeps copies of its inputs, so that
// what happens to them while it waits does no harm. With an error comes the field
// that it belongs to.
func (s *Studio) admit(settings library.Settings) (library.Entry, Field, error) {
	dir := filepath.Dir(settings.Job.Output)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return library.Entry{}, FieldOutput, err
	}
	if err := video.CheckWritable(dir); err != nil {
		return library.Entry{}, FieldOutput, err
	}
	e, err := s.lib.Create(settings)
	if err != nil {
		return e, FieldNone, err
	}
	if err := keepInputs(s.lib.Folder(e.ID), settings); err != nil {
		e.State, e.Error, e.Finished = library.Failed, err.Error(), time.Now()
		return e, FieldNone, errors.Join(err, s.lib.Put(e))
	}
	return e, FieldNone, nil
}

// The copies of a run's inputs in its folder of the library.
const (
	keptPicture = "picture"
	keptCamera  = "camera"
)

var cameraFiles = []string{"poses.npy", "intrinsics.npy"}

func keepInputs(dir string, settings library.Settings) error {
	if err := keep(filepath.Join(dir, keptPicture), settings.Job.Image); err != nil {
		return err
	}
	folder := filepath.Join(dir, keptCamera)
	switch {
	case settings.Camera != "":
		path, err := camera.Builtin(settings.Camera, settings.Job.Frames)
		if err != nil {
			return err
		}
		return path.Write(folder)
	case settings.Job.ActionPath != "":
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
		for _, name := range cameraFiles {
			if err := keep(filepath.Join(folder, name), filepath.Join(settings.Job.ActionPath, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

func keep(dst, src string) error {
	data, err := os.ReadFile(src)
	if err != nil {
		return err
	}
	return os.WriteFile(dst, data, 0o644)
}

// request returns what the engine is asked for: the user's own files where they are
// still the same, so that a video's sidecar names them, and the copies elsewhere.
func (s *Studio) request(e library.Entry, resume bool) Request {
	s.mu.Lock()
	checkpoint := s.facts.demo.Checkpoint
	s.mu.Unlock()
	if e.Settings.Checkpoint != "" {
		checkpoint = e.Settings.Checkpoint
	}
	r := Request{Checkpoint: checkpoint, Quant: e.Settings.Quant, Job: e.Settings.Job}
	if resume {
		r.Resume = e.RunDir
		return r
	}
	dir := s.lib.Folder(e.ID)
	if kept := filepath.Join(dir, keptPicture); !same(kept, r.Job.Image) {
		r.Job.Image = kept
	}
	if kept := filepath.Join(dir, keptCamera); exists(kept) {
		for _, name := range cameraFiles {
			if !same(filepath.Join(kept, name), filepath.Join(r.Job.ActionPath, name)) {
				r.Job.ActionPath = kept
			}
		}
	}
	r.Job.FramesDir = s.lib.FramesDir(e.ID)
	return r
}

// same reports whether two files hold the same.
func same(a, b string) bool {
	x, err := os.ReadFile(a)
	if err != nil {
		return false
	}
	y, err := os.ReadFile(b)
	return err == nil && string(x) == string(y)
}

// Cancel ends a run or takes it off the queue. What it saved stays for Resume.
func (s *Studio) Cancel(id library.ID) {
	s.change(func(n *Snapshot) {
		if n.Run.Active() && n.Run.Entry.ID == id {
			n.Run.Phase = PhaseCancelling
			s.cancel()
			return
		}
		i := slices.IndexFunc(n.Queue, func(e library.Entry) bool { return e.ID == id })
		if i < 0 {
			return
		}
		e := n.Queue[i]
		n.Queue = slices.Delete(slices.Clone(n.Queue), i, i+1)
		e.State, e.Finished = library.Cancelled, time.Now()
		s.put(e)
	})
}

// put keeps an entry in the library, in the background. s.mu may be held.
func (s *Studio) put(e library.Entry) {
	s.chores.add(func() {
		err := s.lib.Put(e)
		if err != nil {
			s.o.Log.Error("keeping a run", "id", e.ID, "err", err)
		}
		s.change(func(n *Snapshot) {
			if err != nil {
				s.notice(n, Error, SaveFailed, map[string]any{"Path": s.lib.Folder(e.ID)}, err.Error())
			}
			s.facts.shelf++
		})
	})
}

// Resume queues a run that was interrupted, cancelled or failed: from where it was if
// it saved that, or else from the start.
func (s *Studio) Resume(id library.ID) {
	e, ok := s.lib.Get(id)
	if !ok || !e.State.Finished() || e.State == library.Done {
		return
	}
	resume := e.CanResume() && exists(e.RunDir)
	e.State, e.Error, e.Finished = library.Queued, "", time.Time{}
	if !resume {
		e.RunDir, e.Steps = "", 0
	}
	s.touch(func(n *Snapshot) {
		if slices.ContainsFunc(n.Queue, func(q library.Entry) bool { return q.ID == id }) {
			return
		}
		s.put(e)
		s.line(n, e, resume)
	})
}
