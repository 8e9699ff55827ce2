package ui

import (
	"gimbal/inference/library"
	"gimbal/inference/live"
	"gimbal/ui/desktop"
	"gimbal/ui/studio"
)

// attendant tells the system what it should know of runs: that it must not sleep, how
// far a run is, and how it ended. What may take time happens in the background.
type attendant struct {
	desktop desktop.Desktop
	sleep   chan struct{} // closed to let the system sleep; nil while it may
	run     library.ID    // under way at the last Snapshot
}

func (a *attendant) show(s studio.Snapshot) {
	busy := s.Busy() || s.Walk.Phase == live.Walking
	switch {
	case busy && a.sleep == nil:
		a.sleep = make(chan struct{})
		go func(sleep <-chan struct{}) {
			release := a.desktop.KeepAwake(tr("awake"))
			<-sleep
			release()
		}(a.sleep)
	case !busy && a.sleep != nil:
		close(a.sleep)
		a.sleep = nil
	}
	run := library.ID("")
	if s.Run.Active() {
		run = s.Run.Entry.ID
		a.desktop.Progress(s.Run.Fraction)
	}
	if a.run != "" && a.run != run {
		a.tell(entryOf(s, a.run))
		if run == "" {
			a.desktop.Progress(-1)
		}
	}
	a.run = run
}

// entryOf returns a run that ended: the next one may be under way already.
func entryOf(s studio.Snapshot, id library.ID) library.Entry {
	if s.Run.Entry.ID == id {
		return s.Run.Entry
	}
	for _, e := range s.Library.Entries {
		if e.ID == id {
			return e
		}
	}
	return library.Entry{}
}

// tell notifies the user of a run that ended without being asked to.
func (a *attendant) tell(e library.Entry) {
	switch e.State {
	case library.Done:
		go a.desktop.Notify(tr("notify.done"), e.Title())
	case library.Failed:
		go a.desktop.Notify(tr("notify.failed"), e.Title())
	}
}
