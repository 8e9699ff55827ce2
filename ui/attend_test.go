package ui

import (
	"slices"
	"testing"
	"testing/synctest"

	"gimbal/inference/library"
	"gimbal/inference/queue"
	"gimbal/ui/desktop"
	"gimbal/ui/studio"
	"gimbal/ui/translation"
)

// TestAttend runs three runs, and looks at what the system hears of them.
func TestAttend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if err := translation.Load("en"); err != nil {
			t.Fatal(err)
		}
		system := desktop.NewRecorder(t.TempDir())
		a := &attendant{desktop: system}
		heard := 0
		expect := func(want ...string) {
			t.Helper()
			heard += len(want)
			synctest.Wait() // some calls are made in the background
			got := system.Calls()
			got = slices.Sorted(slices.Values(got[min(heard-len(want), len(got)):]))
			if slices.Sort(want); !slices.Equal(got, want) {
				t.Errorf("the system hears %q, want %q", got, want)
			}
		}
		show := func(id library.ID, phase queue.Phase, state library.State, fraction float64, waiting ...library.Entry) {
			var s studio.Snapshot
			s.Run.Entry.ID, s.Run.Entry.State, s.Run.Phase, s.Run.Fraction, s.Waiting = id, state, phase, fraction, waiting
			s.Run.Entry.Settings.Job.Prompt = "a walk"
			s.Library.Entries = []library.Entry{{ID: "a", State: library.Done}}
			a.show(s)
		}
		show("", queue.Idle, "", 0)
		expect()
		show("a", queue.Sampling, library.Running, 0.5, library.Entry{ID: "b"})
		expect("keep awake: Making a video", "progress")
		show("b", queue.Sampling, library.Running, 0.2) // shown at once after a
		expect("progress", "notify The video is done: ")
		show("b", queue.Finished, library.Done, 1)
		expect("sleep", "no progress", "notify The video is done: a walk")
		show("b", queue.Finished, library.Done, 1)
		expect()
		show("c", queue.Decoding, library.Running, 0.9)
		expect("keep awake: Making a video", "progress")
		show("c", queue.Finished, library.Failed, 0.9)
		expect("sleep", "no progress", "notify The video could not be made: a walk")
		show("d", queue.Sampling, library.Running, 0)
		expect("keep awake: Making a video", "progress")
		show("d", queue.Finished, library.Cancelled, 0)
		expect("sleep", "no progress")
	})
}
