package ui

import (
	"strings"
	"testing"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"gimbal/inference"
	"gimbal/inference/engine"
	"gimbal/inference/hub"
	"gimbal/ui/part"
	"gimbal/ui/studio"
)

const getSmall = "lingbot-world-v2-1.3b-causal-fast"

// offering is the first start, with a hub that has some models.
func offering() studio.Snapshot {
	s := empty()
	s.Get.Hub = "https://huggingface.co"
	for i, m := range hub.Models {
		v, _ := engine.FindVariant(m.Variant)
		o := studio.Offer{Model: m, Variant: v, Bytes: int64(i+1) * 20e9, Licence: m.Licence, Estimate: studio.Estimate{Known: true, Memory: 54.6e9, Resident: 86e9, Fit: inference.TooMuch}}
		switch i {
		case 1:
			o.Bytes, o.Checking = 0, true
		case 2:
			o.Bytes, o.Problem = 0, studio.Problem{Code: studio.GetGated, Level: studio.Error, Args: map[string]any{"Address": "https://huggingface.co/robbyant/lingbot-world-fast"}}
		}
		s.Get.Offers = append(s.Get.Offers, o)
	}
	return s
}

// next shows another state.
func next(w *Window, s *studio.Snapshot, change func(g *studio.Get)) {
	s.Version++
	change(&s.Get)
	w.show(*s)
	layOut(w)
}

// TestGetPage opens the page where models are downloaded from the first start's, chooses one, accepts its
// licence and begins.
func TestGetPage(t *testing.T) {
	s := offering()
	w, f := newTestWindow(t, s, 1280, 800)
	test.Tap(w.names["get.open"].(fyne.Tappable))
	expect(t, f, "ask hub")
	if !w.get.view.Visible() || w.stagePage.Visible() {
		t.Fatal("the page is not there")
	}
	for i, want := range map[int]string{0: "20.0 GB", 1: "asking…", 2: "not available"} {
		if got := w.get.rows[i].size.Text(); got != want {
			t.Errorf("of model %d it says %q, want %q", i, got, want)
		}
	}
	if got := w.get.rows[3].about.Text(); got != "follows camera paths  ·  54.6 GB of memory, too much here  ·  CC BY-NC-SA 4.0  ·  4 steps for every 16 frames, chunk by chunk" {
		t.Errorf("a model is said to be %q", got)
	}
	test.Tap(w.names["get."+getSmall].(fyne.Tappable))
	expect(t, f, "choose "+getSmall)
	order := w.get.order
	next(w, &s, func(g *studio.Get) {
		g.Chosen, g.Folder, g.Need, g.Free = getSmall, "/Volumes/Big/"+getSmall, 100e9, 300e9
		g.Problems = []studio.Problem{{Level: studio.Warning, Code: studio.GetLicence, Args: map[string]any{"Licence": "CC BY-NC-SA 4.0"}}}
	})
	if !order.licence.Visible() || !order.begin.Disabled() || !strings.Contains(order.terms.Text, "forbids commercial use") || order.room.Text() != "Read the licence, CC BY-NC-SA 4.0, and accept it." {
		t.Errorf("it says %q", order.room.Text())
	}
	if f.asked("accept false") {
		t.Error("what the page shows was taken for the user's will")
	}
	test.Tap(order.accept)
	expect(t, f, "accept true")
	next(w, &s, func(g *studio.Get) { g.Accepted, g.Problems, g.CanBegin = true, nil, true })
	if got := order.room.Text(); got != "100 GB to download, 300 GB free on this disk" {
		t.Errorf("of the room it says %q", got)
	}
	test.Tap(order.begin)
	expect(t, f, "begin")

	next(w, &s, func(g *studio.Get) {
		g.Chosen, g.CanBegin, g.Problems = hub.Models[2].Name, false, []studio.Problem{g.Offers[2].Problem}
	})
	if !order.token.Visible() || !strings.Contains(order.room.Text(), "https://huggingface.co/robbyant/lingbot-world-fast") {
		t.Errorf("of a gated model it says %q", order.room.Text())
	}
	test.Type(w.names["get.token"].(*widget.Entry), "hf_abc")
	w.names["get.token"].(*widget.Entry).OnSubmitted("")
	expect(t, f, "token hf_abc")

	run := running(t)
	s.Run, s.Version = run.Run, s.Version+1
	w.show(s)
	if w.get.view.Visible() || !w.stagePage.Visible() {
		t.Error("the page hides the video that is being made")
	}
}

// TestGetTask shows a download: that of before by itself, how far it is, a pause, a failure and its end.
func TestGetTask(t *testing.T) {
	s := offering()
	s.Get.Task = studio.Task{State: studio.TaskRunning, Title: "LingBot-World base (cam)", Folder: "/m", Done: 30e9, Total: 120e9, Rate: 45e6, Left: 2000 * time.Second, Resumed: true}
	w, f := newTestWindow(t, s, 1280, 800)
	layOut(w)
	card := w.get.task
	if !w.get.view.Visible() || card.state.Text() != "Not finished when Gimbal ended; it goes on  ·  30.0 GB of 120 GB  ·  45.0 MB/s  ·  about 33 min left" || card.meter.Fraction() != 0.25 {
		t.Errorf("of a download of before it says %q", card.state.Text())
	}
	driver := w.app.Driver()
	if end := driver.AbsolutePositionForObject(card.view).Y + card.view.Size().Height; end > driver.AbsolutePositionForObject(w.get.rows[0].view).Y {
		t.Error("the list lies over the download")
	}
	test.Tap(card.pause)
	expect(t, f, "pause")
	next(w, &s, func(g *studio.Get) { g.Task.State, g.Task.Rate, g.Task.Left = studio.TaskPaused, 0, 0 })
	if card.state.Text() != "Paused  ·  30.0 GB of 120 GB" || card.pause.Text != "Go On" {
		t.Errorf("of a pause it says %q", card.state.Text())
	}
	test.Tap(card.pause)
	expect(t, f, "go on")
	next(w, &s, func(g *studio.Get) {
		g.Task.State, g.Task.Problem = studio.TaskFailed, studio.Problem{Code: studio.GetRoom, Args: map[string]any{"Need": "90.0 GB", "Free": "1.0 GB"}}
	})
	if got := card.problem.Text(); got != "This needs 90.0 GB, and 1.0 GB are free. Free some space, or choose a folder on another disk." {
		t.Errorf("of a full disk it says %q", got)
	}
	test.Tap(card.cancel)
	if f.asked("give up") || w.window.Canvas().Overlays().Top() == nil {
		t.Error("it is given up without a question")
	}
	w.window.Canvas().Overlays().Remove(w.window.Canvas().Overlays().Top())
	w.closeGet()
	test.Tap(w.names["model.task"].(*part.Pick))
	if !w.get.view.Visible() {
		t.Error("the card of the model does not lead to the download")
	}
	next(w, &s, func(g *studio.Get) { g.Task.State, g.Task.Problem = studio.TaskDone, studio.Problem{} })
	if card.pause.Visible() || w.names["model.task"].Visible() || !strings.HasPrefix(card.state.Text(), "Complete") || taskInk(s.Get.Task) != theme.ColorNameSuccess {
		t.Errorf("of its end it says %q", card.state.Text())
	}
}
