package library

import (
	"os"
	"path/filepath"
	"strings"

	"gimbal/inference/engine"
	"gimbal/inference/video"
)

// settle finds out what became of the runs that a program was at when it ended: the
// video was finished all the same, or the run was interrupted.
func (l *Library) settle() error {
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

// adopt makes e Done if its video is there, and reports whether it is. A pipeline
// removes the run's state only after everything else is in place.
func (e *Entry) adopt() bool {
	output := e.Settings.Job.Output
	base := strings.TrimSuffix(output, filepath.Ext(output))
	if _, err := os.Stat(base + ".run"); err == nil || output == "" {
		return false
	}
	info, err := os.Stat(output)
	if err != nil {
		return false
	}
	var told struct{ Width, Height, Frames int }
	if err := video.ReadSidecar(base+".json", &told); err != nil {
		return false
	}
	e.State, e.Finished, e.RunDir = Done, info.ModTime(), ""
	e.Video, e.ContactSheet, e.Sidecar = output, base+".png", base+".json"
	e.Width, e.Height, e.Frames, e.Steps = told.Width, told.Height, told.Frames, e.Settings.Job.Steps
	return true
}

// findState looks for the state that the run saved.
func (e *Entry) findState() {
	output := e.Settings.Job.Output
	dir := strings.TrimSuffix(output, filepath.Ext(output)) + ".run"
	run, err := engine.ReadRun(dir)
	if e.RunDir = ""; err == nil && output != "" {
		e.RunDir, e.Steps = dir, run.StepsDone
	}
}
