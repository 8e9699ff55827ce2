package ui

import (
	"strings"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"

	"gimbal/ui/part"
	"gimbal/ui/studio"
)

// compared is a window with two videos on its stage that differ in seed and steps.
func compared(t *testing.T) studio.Snapshot {
	s := watching(t)
	other := s.Stage.Entry
	other.ID, other.Settings.Job.Seed, other.Settings.Job.Steps = "other", 99, 7
	s.Stage.Compared = []studio.Compared{{Entry: s.Stage.Entry, Video: s.Stage.Video}, {Entry: other, Video: s.Stage.Video}}
	return s
}

func TestVideosSideBySide(t *testing.T) {
	s := compared(t)
	w, f := newTestWindow(t, s, 1280, 800)
	job := s.Stage.Entry.Settings.Job
	if got := w.stage.title.Text(); got != "2 videos side by side" {
		t.Errorf("title %q", got)
	}
	about := w.stage.about.Text()
	if job.Seed == 99 || job.Steps == 7 || !strings.Contains(about, "| 99") || !strings.Contains(about, "| 7") || strings.Contains(about, "Frames") {
		t.Errorf("it says %q", about)
	}
	w.stage.player.Seek(0)
	img := w.stage.player.Screen().Image()
	if img == nil || img.Bounds().Dx() < 2*s.Stage.Video.Width {
		t.Errorf("the screen shows %v, want two of %d pixels", img.Bounds(), s.Stage.Video.Width)
	}
	// One alone again.
	s.Version++
	s.Stage.Compared = nil
	w.show(s)
	w.stage.player.Seek(0)
	if img := w.stage.player.Screen().Image(); img.Bounds().Dx() != s.Stage.Video.Width {
		t.Errorf("the screen shows %v", img.Bounds())
	}
	w.names["variations"].(*part.Segmented).Choose(3)
	expect(t, f, "variations 4")
}

func TestCompareInTheLibrary(t *testing.T) {
	s := withRuns(t)
	s.Stage.Entry = s.Library.Entries[4]
	w, f := newTestWindow(t, s, 1280, 800)
	w.turn(pageLibrary)
	w.library.choose(1)
	button := w.names["library.compare"].(fyne.Tappable)
	if w.names["library.compare"].(fyne.Disableable).Disabled() == s.CanCompare(s.Library.Entries, s.Library.Entries[1].ID) {
		t.Error("the button is not as what it does")
	}
	if s.CanCompare(s.Library.Entries, s.Library.Entries[1].ID) {
		test.Tap(button)
		expect(t, f, "compare e1")
	}
}
