package ui

import (
	"slices"
	"testing"
	"time"

	"gimbal/inference/library"
	"gimbal/ui/desktop"
	"gimbal/ui/studio"
	"gimbal/ui/translation"
)

// TestAttend runs three runs, and looks at what the system hears of them.
func TestAttend(t *testing.T) {
	if err := translation.Load("en"); err != nil {
		t.Fatal(err)
	}
	system := desktop.NewRecorder(t.TempDir())
	a := &attendant{desktop: system}
	heard := 0
	expect := func(want ...string) {
		t.Helper()
		heard += len(want)
		for end := time.Now().Add(5 * time.Second); len(system.Calls()) < heard && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
		got := system.Calls()
		got = slices.Sorted(slices.Values(got[min(heard-len(want), len(got)):])) // some are made in the background
		if slices.Sort(want); !slices.Equal(got, want) {
			t.Errorf("the system hears %q, want %q", got, want)
		}
	}
	show := func(id library.ID, phase studio.Phase, state library.State, fraction float64, queue ...library.Entry) {
		var s studio.Snapshot
		s.Run.Entry.ID, s.Run.Entry.State, s.Run.Phase, s.Run.Fraction, s.Queue = id, state, phase, fraction, queue
		s.Run.Entry.Settings.Job.Prompt = "a walk"
		s.Library.Entries = []library.Entry{{ID: "a", State: library.Done}}
		a.show(s)
	}
	show("", studio.PhaseNone, "", 0)
	expect()
	show("a", studio.PhaseSampling, library.Running, 0.5, library.Entry{ID: "b"})
	expect("keep awake: Making a video", "progress")
	show("b", studio.PhaseSampling, library.Running, 0.2) // shown at once after a
	expect("progress", "notify The video is done: ")
	show("b", studio.PhaseFinished, library.Done, 1)
	expect("sleep", "no progress", "notify The video is done: a walk")
	show("b", studio.PhaseFinished, library.Done, 1)
	expect()
	show("c", studio.PhaseDecoding, library.Running, 0.9)
	expect("keep awake: Making a video", "progress")
	show("c", studio.PhaseFinished, library.Failed, 0.9)
	expect("sleep", "no progress", "notify The video could not be made: a walk")
	show("d", studio.PhaseSampling, library.Running, 0)
	expect("keep awake: Making a video", "progress")
	show("d", studio.PhaseFinished, library.Cancelled, 0)
	expect("sleep", "no progress")
}
