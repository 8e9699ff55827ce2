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
	sleep   chan struct{}       // closed to let the system sleep; nil while it may
	runs    map[library.ID]bool // that were under way and whose end was not told
	bar     bool                // how far a run is was told
}

func (a *attendant) show(s studio.Snapshot) {
	busy := s.Busy() || s.Walk.Phase == live.Walking || s.Get.Task.Active()
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
	if a.runs == nil {
		a.runs = map[library.ID]bool{}
	}
	for _, r := range s.UnderWay() {
		a.runs[r.Entry.ID] = true
	}
	for id := range a.runs {
		if e := entryOf(s, id); e.State.Finished() {
			delete(a.runs, id)
			a.tell(e)
		}
	}
	switch active := s.Run.Active(); {
	case active:
		a.desktop.Progress(s.Run.Fraction)
		a.bar = true
	case a.bar:
		a.desktop.Progress(-1)
		a.bar = false
	}
}

// entryOf returns a run as it is now: one that ended may be listed so a moment later.
func entryOf(s studio.Snapshot, id library.ID) library.Entry {
	for _, r := range append(s.UnderWay(), s.Run) {
		if r.Entry.ID == id {
			return r.Entry
		}
	}
	for _, e := range s.Library.Entries {
		if e.ID == id {
			return e
		}
	}
	return library.Entry{State: library.Running}
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
