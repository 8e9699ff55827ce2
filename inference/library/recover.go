package library

import (
	"os"
	"path/filepath"
	"strings"

	"gimbal/inference/runstate"
	"gimbal/inference/video"
)

// recoverRuns finds out what became of the runs that a program was at when it ended: the
// video was finished all the same, or the run was interrupted.
func (l *Library) recoverRuns() error {
	for _, e := range l.entries {
		if e.State.Finished() {
			continue
		}
		if !e.adopt() {
			e.State = Interrupted
			e.findState()
			l.report.Interrupted = append(l.report.Interrupted, e.ID)
		}
		if err := l.Put(e); err != nil {
			return err
		}
	}
	return nil
}

// beside returns the path of the file with another extension that belongs to the video.
func (e *Entry) beside(ext string) string {
	output := e.Settings.Job.Output
	return strings.TrimSuffix(output, filepath.Ext(output)) + ext
}

// adopt makes e Done if its video is there, and reports whether it is. An engine
// removes the run's state only after everything else is in place.
func (e *Entry) adopt() bool {
	output := e.Settings.Job.Output
	if _, err := os.Stat(e.beside(".run")); err == nil || output == "" {
		return false
	}
	info, err := os.Stat(output)
	if err != nil {
		return false
	}
	var told struct{ Width, Height, Frames int }
	if err := video.ReadSidecar(e.beside(".json"), &told); err != nil {
		return false
	}
	e.State, e.Finished, e.RunDir = Done, info.ModTime(), ""
	e.Video, e.ContactSheet, e.Sidecar = output, e.beside(".png"), e.beside(".json")
	e.Width, e.Height, e.Frames, e.Steps = told.Width, told.Height, told.Frames, e.Settings.Job.Steps
	return true
}

// findState looks for the state that the run saved.
func (e *Entry) findState() {
	if e.RunDir = ""; e.Settings.Job.Output == "" {
		return
	}
	if e.Settings.Server != "" { // its state is there, and the folder says where
		if _, err := os.Stat(e.beside(".run")); err == nil {
			e.RunDir = e.beside(".run")
		}
		return
	}
	run, err := runstate.Open(e.beside(".run"))
	if err != nil {
		return
	}
	defer run.Close()
	if state, err := run.Load(); err == nil {
		e.RunDir, e.Steps = run.Dir(), state.Step
	}
}
