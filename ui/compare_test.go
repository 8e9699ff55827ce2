package ui

import (
	"strings"
	"testing"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"
	"fyne.io/fyne/v2/widget"

	"gimbal/inference"
	"gimbal/inference/library"
	"gimbal/ui/part"
	"gimbal/ui/studio"
)

// compared is a window with two videos on its stage that differ in seed and steps.
func compared(t *testing.T) studio.Snapshot {
	s := watching(t)
	other := s.Stage.Entry
	other.ID, other.Settings.Job.Seed, other.Settings.Job.Steps, other.Settings.Job.Image = "other", 99, 7, "/elsewhere/other.png"
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
	if !strings.Contains(about, "| other.png") || !strings.HasPrefix(about, "Picture ") {
		t.Errorf("of the pictures it says %q", about)
	}
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

// TestAgainst keeps a form, shows in what the other one differs, and says how long both take.
func TestAgainst(t *testing.T) {
	s := filled(t)
	s.Form.Estimate = studio.Estimate{Known: true, Memory: 1e9, Time: inference.Estimate{Low: 100 * time.Second, Likely: 120 * time.Second, High: 140 * time.Second}}
	w, f := newTestWindow(t, s, 1280, 800)
	if w.names["against.forget"].(*widget.Button).Visible() && w.inputs.video.against.kept.Visible() {
		t.Error("something is kept at the start")
	}
	test.Tap(w.names["against.keep"].(fyne.Tappable))
	expect(t, f, "keep against")
	show := func(change func(f *studio.Form)) string {
		s.Version++
		change(&s.Form)
		w.show(s)
		return w.inputs.video.against.about.Text()
	}
	about := show(func(f *studio.Form) {
		f.Against = &studio.Wanted{Settings: library.Settings{Job: f.Inputs.Job, Camera: f.Inputs.Camera}}
		f.Against.Settings.Job.Seed++
	})
	if about != tr("against.same") || w.inputs.video.against.keep.Visible() {
		t.Errorf("what is the same differs: %q", about)
	}
	if about = show(func(f *studio.Form) { f.Inputs.Job.Steps = 7 }); !strings.Contains(about, "| 7") || strings.Contains(about, tr("seed")) {
		t.Errorf("it differs in %q", about)
	}
	if detail := w.progress.detail.Text(); !strings.Contains(detail, "about 4 min 00 s for all 2") {
		t.Errorf("the bar says %q", detail)
	}
	test.Tap(w.names["against.forget"].(fyne.Tappable))
	expect(t, f, "forget against")
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
