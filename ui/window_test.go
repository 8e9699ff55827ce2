package ui

import (
	"errors"
	"fmt"
	"image"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"
	"fyne.io/fyne/v2/widget"

	"gimbal/inference"
	"gimbal/inference/engine"
	"gimbal/inference/library"
	"gimbal/inference/queue"
	"gimbal/ui/desktop"
	"gimbal/ui/look"
	"gimbal/ui/part"
	"gimbal/ui/studio"
	"gimbal/ui/translation"
)

// expect fails unless the studio was asked for something.
func expect(t *testing.T, f *fake, call string) {
	t.Helper()
	if !f.asked(call) {
		t.Errorf("the studio was not asked for %q, only for %q", call, f.calls)
	}
}

func TestTypingEdits(t *testing.T) {
	w, f := newTestWindow(t, empty(), 1280, 800)
	test.Type(w.inputs.prompt.entry, "dunes")
	expect(t, f, "edit prompt dunes")
	// What comes of it does not touch what is typed, whatever the form's last valid value is.
	s := f.snapshot
	s.Version++
	w.show(s)
	if w.inputs.prompt.entry.Text != "dunes" {
		t.Errorf("the entry has %q", w.inputs.prompt.entry.Text)
	}
	// A preset does.
	s.Version++
	s.Form.Revision++
	s.Form.Inputs.Job.Prompt = "another"
	w.show(s)
	if w.inputs.prompt.entry.Text != "another" {
		t.Errorf("after a preset the entry has %q", w.inputs.prompt.entry.Text)
	}
	if f.asked("edit prompt another") {
		t.Error("what the form says was edited back into it")
	}
}

func TestWheelOverThePromptScrollsTheForm(t *testing.T) {
	w, _ := newTestWindow(t, filled(t), 1280, 800)
	layOut(w)
	w.inputs.scroll.ScrollToOffset(fyne.NewPos(0, 300))
	at := w.app.Driver().AbsolutePositionForObject(w.names["prompt"])
	test.Scroll(w.window.Canvas(), at.AddXY(40, 20), 0, -50)
	if got := w.inputs.scroll.Offset.Y; got <= 300 {
		t.Errorf("the form is at %g, want further down than 300", got)
	}
}

func TestSliderGivesFrames(t *testing.T) {
	w, f := newTestWindow(t, empty(), 1280, 800)
	w.inputs.video.frames.slider.SetValue(10)
	expect(t, f, "edit frame_num 41")
	if got := w.inputs.video.frames.entry.Text; got != "41" {
		t.Errorf("the entry has %q", got)
	}
	for _, call := range f.calls {
		if strings.HasPrefix(call, "edit frame_num") && call != "edit frame_num 41" {
			t.Errorf("asked for %q", call)
		}
	}
}

func TestProblemsAreShownAtTheirField(t *testing.T) {
	s := empty()
	w, _ := newTestWindow(t, s, 1280, 800)
	hint := func(f studio.Field) string { return w.inputs.form.hints[f].Text() }
	if hint(studio.FieldPicture) != "" || hint(studio.FieldPrompt) != "" {
		t.Error("an untouched form complains")
	}
	s.Version, s.Form.Attempted = 2, true
	s.Form.Problems = append(s.Form.Problems, studio.Problem{Field: studio.FieldFrames, Level: studio.Error, Code: studio.FramesNot4n1,
		Args: map[string]any{"Found": "40", "Below": 37, "Above": 41}, Text: "x"})
	w.show(s)
	if got := hint(studio.FieldFrames); got != "40 frames cannot be made, only 1, 5, 9 and so on. The nearest are 37 and 41." {
		t.Errorf("at the frames it says %q", got)
	}
	if hint(studio.FieldPicture) == "" || w.progress.headline.Text() != hint(studio.FieldPicture) {
		t.Errorf("after Generate it says %q at the picture and %q at the bottom", hint(studio.FieldPicture), w.progress.headline.Text())
	}
}

// TestEverySettingHasItsPlace looks for the settings of the form.
func TestEverySettingHasItsPlace(t *testing.T) {
	w, f := newTestWindow(t, filled(t), 1280, 800)
	for _, s := range inference.Settings {
		if s.Form && w.inputs.form.hints[studio.Field(s.Name)] == nil {
			t.Errorf("%s has no place in the window", s.Name)
		}
	}
	test.Type(w.names["fps"].(*widget.Entry), "2")
	expect(t, f, "edit fps 216") // in front of what is there
	w.names["noise_rng"].(*part.Segmented).Choose(1)
	expect(t, f, "edit noise_rng cpu")
	w.names["offload_model"].(*widget.Check).SetChecked(false)
	expect(t, f, "edit offload_model False")
}

func TestButtonsAsk(t *testing.T) {
	w, f := newTestWindow(t, running(t), 1280, 800)
	for name, call := range map[string]string{
		"generate": "generate", "cancel": "cancel r1", "seed.dice": "new seed", "seed.lock": "lock true",
		"camera.none": "camera ", "camera.orbit-right": "camera orbit-right", "picture.recent.1": "picture /p/meadow",
	} {
		test.Tap(w.names[name].(fyne.Tappable))
		expect(t, f, call)
	}
	w.inputs.video.quant.Choose(3)
	expect(t, f, "edit quant nf4")
	w.inputs.video.quant.Choose(2)
	if f.asked("edit quant int8") || w.inputs.video.reason.Text() == "" {
		t.Error("a quantisation that the device cannot run can be chosen, or nothing says why")
	}
}

func TestPaste(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, f := newTestWindow(t, empty(), 1280, 800)
		w.app.Clipboard().SetContent("  file:///a/b.png\n'/c d.jpg'\n\n")
		test.Tap(w.names["picture.paste"].(fyne.Tappable))
		synctest.Wait()
		expect(t, f, "drop [file:///a/b.png /c d.jpg]")
		w.options.Desktop.(*desktop.Recorder).Copied = func() ([]byte, error) { return []byte("pixels"), nil }
		w.window.Canvas().(fyne.Shortcutable).TypedShortcut(&fyne.ShortcutPaste{})
		synctest.Wait()
		expect(t, f, "paste pixels")
	})
}

func TestPasteFails(t *testing.T) {
	w, f := newTestWindow(t, empty(), 1280, 800)
	w.app.Clipboard().SetContent("/a.png")
	w.pasted(nil, errors.New("too large"))
	if w.window.Canvas().Overlays().Top() == nil || len(f.calls) > 0 {
		t.Errorf("nothing says that pasting failed, or the studio was asked for %q", f.calls)
	}
	w.pasted(nil, fmt.Errorf("no display: %w", errors.ErrUnsupported))
	expect(t, f, "drop [/a.png]")
}

// TestQueueList shows runs under way on a server and one that waits here, each with how far it is and
// what can be done with it.
func TestQueueList(t *testing.T) {
	s := running(t)
	s.Others = []queue.Run{{Entry: entry("o1", library.Queued, "A harbour"), Phase: queue.Waiting, Before: 3, Remaining: -1}}
	w, f := newTestWindow(t, s, 1280, 800)
	if got := w.progress.queue.Text; got != "2 more" {
		t.Errorf("the button says %q", got)
	}
	test.Tap(w.progress.queue)
	var notes []string
	for _, note := range w.queue.notes {
		notes = append(notes, note.Text())
	}
	if len(notes) != 3 || !strings.HasPrefix(notes[0], "Step 8 of 20") || !strings.HasPrefix(notes[1], "Waiting on the server: 3 before it") {
		t.Errorf("the list says %q", notes)
	}
	for _, name := range []string{"queue.end.1", "queue.end.2", "queue.show.1"} {
		test.Tap(w.names[name].(*widget.Button))
	}
	for _, call := range []string{"cancel o1", "cancel q1", "show o1"} {
		expect(t, f, call)
	}
	if w.queue != nil {
		t.Error("the list stays when a run is shown")
	}
}

func TestRunIsFollowed(t *testing.T) {
	s := running(t)
	w, _ := newTestWindow(t, s, 1280, 800)
	if got := w.progress.headline.Text(); got != "Step 8 of 20" {
		t.Errorf("headline %q", got)
	}
	if got := w.progress.detail.Text(); got != "about 12 min left  ·  6 min 31 s elapsed  ·  47 s per step  ·  High-noise expert" {
		t.Errorf("detail %q", got)
	}
	if w.progress.memory.Text() != "51.4 GB of memory" || w.progress.queue.Text != "1 waiting" {
		t.Errorf("memory %q, queue %q", w.progress.memory.Text(), w.progress.queue.Text)
	}
	if !w.stage.preview.view.Visible() || w.stage.player.Visible() || w.stage.empty.Visible() {
		t.Error("the preview is not what is shown")
	}
	first := w.stage.preview.screen.Image()
	w.stage.preview.next()
	if w.stage.preview.screen.Image() == first {
		t.Error("the preview does not move")
	}
	s.Version++
	s.Run.Phase, s.Run.Entry.State, s.Run.Preview = queue.Finished, library.Failed, nil
	s.Run.Entry.Cause, s.Run.Entry.Error, s.Run.Err = library.Unhealthy, "It went bad.", errors.New("step 9: it went bad")
	w.show(s)
	if !strings.HasPrefix(w.progress.headline.Text(), "The numbers went bad") || !w.progress.copy.Visible() || w.progress.cancel.Visible() {
		t.Errorf("of a failed run it says %q", w.progress.headline.Text())
	}
	test.Tap(w.progress.copy)
	if got := w.app.Clipboard().Content(); !strings.HasPrefix(got, "The numbers went bad") || !strings.Contains(got, "step 9: it went bad") {
		t.Errorf("copied %q", got)
	}
	if w.stage.preview.stop != nil {
		t.Error("the preview of a run that is over still moves")
	}
}

func TestVideoPlaysAndMarksThePath(t *testing.T) {
	w, _ := newTestWindow(t, watching(t), 1280, 800)
	p := w.stage.player
	if !p.Visible() || !p.Playing() {
		t.Fatal("the video does not play")
	}
	p.Pause()
	p.Seek(0)
	from := w.inputs.camera.top.Marker()
	p.Seek(8)
	to := w.inputs.camera.top.Marker()
	if from == nil || to == nil || *from == *to {
		t.Errorf("the marker goes from %v to %v", from, to)
	}
	w.window.Canvas().OnTypedKey()(&fyne.KeyEvent{Name: fyne.KeyRight})
	if p.Frame() != 9 {
		t.Errorf("after a step it shows frame %d", p.Frame())
	}
}

func TestQuitAsksMidRun(t *testing.T) {
	w, f := newTestWindow(t, running(t), 1280, 800)
	w.Close()
	if f.asked("close") || w.window.Canvas().Overlays().Top() == nil {
		t.Fatal("it closes in the middle of a run without a question")
	}
}

func TestPresets(t *testing.T) {
	s := filled(t)
	s.Presets = append(s.Presets, studio.Preset{ID: "u1", Name: "Mine"})
	w, f := newTestWindow(t, s, 1280, 800)
	if w.presets.button.Text != "Production" {
		t.Errorf("the button says %q", w.presets.button.Text)
	}
	test.Tap(w.presets.button)
	test.Tap(w.names["preset.quick"].(fyne.Tappable))
	expect(t, f, "preset quick")
	w.savePreset()
	entry := w.names["dialog.name"].(*escapable)
	test.Type(entry, "Evening")
	entry.OnSubmitted(entry.Text)
	expect(t, f, "save Evening")
}

func TestLibraryPage(t *testing.T) {
	w, f := newTestWindow(t, withRuns(t), 1280, 800)
	w.pages.Choose(pageLibrary)
	if !w.library.view.Visible() || w.create.Visible() || w.library.chosen != "e0" {
		t.Fatalf("the library is not shown, or %q chosen", w.library.chosen)
	}
	test.Type(w.library.search, "sea")
	expect(t, f, "search sea")
	w.library.choose(3) // interrupted
	if !w.library.detail.buttons["resume"].Visible() || w.library.detail.files.Visible() {
		t.Error("an interrupted run cannot be resumed, or shows a video")
	}
	test.Tap(w.library.detail.buttons["resume"])
	expect(t, f, "resume e3")
	w.turn(pageLibrary)
	w.library.choose(1) // done
	test.Tap(w.library.detail.buttons["copy"])
	expect(t, f, "copy e1")
	w.turn(pageLibrary)
	test.Tap(w.library.detail.buttons["show"])
	expect(t, f, "show e1")
	if !w.create.Visible() {
		t.Error("the stage is not shown")
	}
}

func TestMenuHasShortcuts(t *testing.T) {
	w, f := newTestWindow(t, running(t), 1280, 800)
	bar := w.window.MainMenu()
	find := func(label string) *fyne.MenuItem {
		for _, m := range bar.Items {
			if i := slices.IndexFunc(m.Items, func(i *fyne.MenuItem) bool { return strings.HasPrefix(i.Label, label) }); i >= 0 {
				return m.Items[i]
			}
		}
		t.Fatalf("no menu item %q", label)
		return nil
	}
	for _, label := range []string{"Open Picture", "Generate", "Cancel Run", "Quick", "Production", "Demo", "Settings"} {
		if find(label).Shortcut == nil {
			t.Errorf("%s has no shortcut", label)
		}
	}
	if !strings.Contains(find("Full length").Label, "about 5 h 50 min") {
		t.Errorf("a preset without its time: %q", find("Full length").Label)
	}
	find("Cancel Run").Action()
	expect(t, f, "cancel r1")
	s := w.now
	s.Version++
	s.Run.Step++
	w.show(s)
	if w.window.MainMenu() != bar {
		t.Error("the menu is built anew for a step")
	}
}

func TestNoticesCanBeDismissed(t *testing.T) {
	s := empty()
	s.Notices = []studio.Notice{{ID: 7, Level: studio.Info, Code: studio.Exported, Args: map[string]any{"Path": "/x.mp4"}, Text: "x"}}
	w, f := newTestWindow(t, s, 1280, 800)
	if !w.notices.view.Visible() {
		t.Fatal("no notice")
	}
	test.Tap(w.names["notice.dismiss"].(fyne.Tappable))
	expect(t, f, "dismiss 7")
}

// TestNoticesOnEveryPage has them where the user is.
func TestNoticesOnEveryPage(t *testing.T) {
	s := empty()
	s.Notices = []studio.Notice{{ID: 7, Level: studio.Error, Code: studio.ExportFailed, Args: map[string]any{"Path": "/x.mp4"}, Text: "x"}}
	w, _ := newTestWindow(t, s, 1280, 800)
	pages := map[int]fyne.CanvasObject{pageCreate: w.create, pageLibrary: w.library.view, pageLive: w.live.view}
	for on := range pages {
		w.turn(on)
		layOut(w)
		for page, view := range pages {
			if seen := strings.Contains(textOf(view), "The export to /x.mp4 failed."); seen != (page == on) {
				t.Errorf("on page %d the notice is on page %d: %t", on, page, seen)
			}
		}
		if w.notices.view.Size().Height < 20 {
			t.Errorf("on page %d the notice has no room", on)
		}
	}
}

// TestLabelsFit has no label push its entry to the right of the others.
func TestLabelsFit(t *testing.T) {
	w, _ := newTestWindow(t, filled(t), 1280, 800)
	defer translation.Load("en")
	for _, language := range []string{"en", "zh"} {
		if err := translation.Load(language); err != nil {
			t.Fatal(err)
		}
		for name := range w.inputs.form.hints {
			if slices.Contains([]studio.Field{"negative_prompt", "guidance_low", "guidance_high"}, name) {
				continue // has none beside it
			}
			if label := part.NewText(tr(string(name))); label.Width() > labelWidth {
				t.Errorf("%s: %q is %.0f wide of %d", language, label.Text(), label.Width(), labelWidth)
			}
		}
	}
}

// TestNoticesInOrder shows what is wrong first, with its cause, and the rest on request.
func TestNoticesInOrder(t *testing.T) {
	s := empty()
	for id := range uint64(5) {
		s.Notices = append(s.Notices, studio.Notice{ID: id + 1, Level: studio.Info, Code: studio.Exported, Args: map[string]any{"Path": "/x.mp4"}})
	}
	s.Notices[0] = studio.Notice{ID: 1, Level: studio.Warning, Code: studio.PastedBad, Details: "found a sound, want a picture"}
	w, f := newTestWindow(t, s, 1280, 800)
	if want := []uint64{1, 5}; !slices.Equal(w.notices.shown, want) {
		t.Errorf("shown at first: %v, want %v", w.notices.shown, want)
	}
	if text := textOf(w.notices.list); !strings.Contains(text, "found a sound, want a picture") || !strings.Contains(text, "3 more") {
		t.Errorf("the notices say %q", text)
	}
	test.Tap(w.names["notices.more"].(fyne.Tappable))
	if want := []uint64{1, 5, 4, 3, 2}; !slices.Equal(w.notices.shown, want) {
		t.Errorf("shown on request: %v, want %v", w.notices.shown, want)
	}
	test.Tap(w.names["notice.dismiss"].(fyne.Tappable))
	expect(t, f, "dismiss 2")
}

// textOf returns all texts in an object.
func textOf(o fyne.CanvasObject) string {
	var all []string
	switch o := o.(type) {
	case *widget.Label:
		all = append(all, o.Text)
	case *widget.Button:
		all = append(all, o.Text)
	case *part.Text:
		all = append(all, o.Text())
	}
	for _, child := range children(o) {
		all = append(all, textOf(child))
	}
	return strings.Join(all, "\n")
}

// TestCausesAreShown shows why a run failed and why a model cannot be used, without a click.
func TestCausesAreShown(t *testing.T) {
	s := empty()
	s.Run.Phase = queue.Finished
	s.Run.Entry = library.Entry{ID: "1", State: library.Failed, Cause: library.Other, Error: "v.mp4 is being made by process 12 on mac: wait for it"}
	s.Model.Whole, s.Model.Demo, s.Model.Folder, s.Model.Details = false, false, "/models/a", "VAE: found nothing"
	s.Model.Parts = []engine.Part{{Name: "VAE", Err: errors.New("found nothing")}, {Name: "high_noise_model", Path: "/models/a/h", Err: errors.New("cut")}, {Name: "tokenizer", Path: "/models/a/t"}}
	s.Form.Problems = []studio.Problem{{Field: studio.FieldModel, Level: studio.Error, Code: studio.ModelBad, Args: map[string]any{"Path": "/models/a"}, Details: "VAE: found nothing, want Wan2.1_VAE.pth"}}
	w, _ := newTestWindow(t, s, 1280, 800)
	if got := w.progress.cause.Text(); !strings.Contains(got, "process 12 on mac: wait for it") || !w.progress.cause.Visible() {
		t.Errorf("the bar says %q", got)
	}
	card := w.inputs.model.about.Text()
	for _, want := range []string{"This model cannot be used", "missing: VAE", "damaged: High-noise expert"} {
		if !strings.Contains(card, want) {
			t.Errorf("the model's card says %q, not %q", card, want)
		}
	}
	if hint := w.inputs.form.hints[studio.FieldModel].Text(); !strings.Contains(hint, "want Wan2.1_VAE.pth") {
		t.Errorf("the model's hint is %q", hint)
	}
}

// TestFramesOnTheStage shows the frames of the video in place of the preview.
func TestFramesOnTheStage(t *testing.T) {
	s := running(t)
	s.Run.Frame = image.NewRGBA(image.Rect(0, 0, 8, 4))
	w, _ := newTestWindow(t, s, 1280, 800)
	if len(w.stage.preview.images) != 1 || w.stage.preview.images[0] != s.Run.Frame || !w.stage.preview.view.Visible() {
		t.Errorf("the stage shows %v", w.stage.preview.images)
	}
}

func TestRectanglesAreOfWhatIsSeen(t *testing.T) {
	w, _ := newTestWindow(t, running(t), 1280, 800)
	layOut(w)
	found := Rectangles(w)
	for _, name := range []string{"generate", "cancel", "picture.zone", "pages", "preview"} {
		if r := found[name]; r.Empty() || r.Max.X > 1280 || r.Max.Y > 800 {
			t.Errorf("%s is at %v", name, r)
		}
	}
	for _, name := range []string{"library.search", "player.play", "negative_prompt"} {
		if r, ok := found[name]; ok {
			t.Errorf("%s, which is not shown, is at %v", name, r)
		}
	}
}

func TestAppearanceFollowsTheSettings(t *testing.T) {
	s := filled(t)
	s.Settings.Appearance = look.Light
	w, _ := newTestWindow(t, s, 1280, 800)
	light := w.window.Canvas().Capture().At(5, 5)
	s.Version++
	s.Settings.Appearance = look.Dark
	w.show(s)
	if w.window.Canvas().Capture().At(5, 5) == light {
		t.Error("the window stays light")
	}
}

// Golden markup and pictures of parts that hold still; the pictures of the whole window
// are those of TestRender.
func TestGoldens(t *testing.T) {
	for _, appearance := range []string{look.Light, look.Dark} {
		s := running(t)
		s.Settings.Appearance = appearance
		w, _ := newTestWindow(t, s, 1000, 700)
		layOut(w)
		test.AssertObjectRendersToImage(t, "progress_"+appearance+".png", w.progress.view)
	}
	w, _ := newTestWindow(t, running(t), 1000, 700)
	layOut(w)
	test.AssertObjectRendersToMarkup(t, "progress.xml", w.progress.view)
	w, _ = newTestWindow(t, empty(), 1000, 700)
	layOut(w)
	test.AssertObjectRendersToMarkup(t, "empty.xml", w.stage.empty)
	test.AssertObjectRendersToMarkup(t, "camera.xml", w.names["camera.orbit-left"].(*part.Tile))
}

// TestServerSettings chooses a server in the settings, which say what is known of it as that
// changes.
func TestServerSettings(t *testing.T) {
	s := filled(t)
	w, f := newTestWindow(t, s, 1280, 800)
	w.showSettings()
	v := w.settings
	if v.where.Selected() != madeHere || v.fields.Visible() {
		t.Error("a server is chosen at first")
	}
	v.where.Choose(madeThere)
	v.address.SetText("studio:7860")
	v.key.SetText("secret")
	v.connect()
	expect(t, f, "server studio:7860 secret")
	if v.key.Text != "" || v.state.Text() != tr("server.hint") {
		t.Errorf("the key is %q, the state %q", v.key.Text, v.state.Text())
	}
	show := func(change func(s *studio.Snapshot)) {
		s.Version++
		change(&s)
		w.show(s)
	}
	show(func(s *studio.Snapshot) {
		s.Settings.Server, s.Model.Server, s.Model.Demo = "http://studio:7860", "http://studio:7860", false
	})
	if v.state.Text() != tr("server.asking") {
		t.Errorf("the state is %q", v.state.Text())
	}
	show(func(s *studio.Snapshot) {
		s.Server = studio.Server{Address: s.Settings.Server, Error: "connection refused"}
	})
	if !strings.HasPrefix(v.state.Text(), tr("server.away")) || !strings.Contains(v.state.Text(), "refused") {
		t.Errorf("the state is %q", v.state.Text())
	}
	show(func(s *studio.Snapshot) {
		s.Server = studio.Server{Address: s.Settings.Server, Models: []string{"base-cam", "fast"}}
		s.Settings.ServerModel, s.Model.Folder = "fast", "fast"
	})
	if v.model.Selected != "fast" || !strings.Contains(v.state.Text(), "Apple M3 Ultra") || f.asked("server model fast") {
		t.Errorf("the model is %q, the state %q, calls %q", v.model.Selected, v.state.Text(), f.calls)
	}
	v.model.SetSelected("base-cam")
	expect(t, f, "server model base-cam")
	if w.inputs.model.name.Text() != "fast" || !strings.Contains(w.inputs.model.about.Text(), "studio:7860") {
		t.Errorf("the card says %q, %q", w.inputs.model.name.Text(), w.inputs.model.about.Text())
	}
	show(func(s *studio.Snapshot) {
		s.Run = queue.Run{Entry: entry("1", library.Running, "x"), Phase: queue.Waiting, Before: 3, Remaining: -1}
		s.Run.Entry.Settings.Server = "http://studio:7860"
	})
	if got := w.progress.headline.Text(); !strings.Contains(got, "3") {
		t.Errorf("the bar says %q", got)
	}
	show(func(s *studio.Snapshot) { s.Run.Away = true })
	if got := w.progress.headline.Text(); !strings.Contains(got, "studio:7860 is away") {
		t.Errorf("the bar says %q", got)
	}
	v.where.Choose(madeHere)
	expect(t, f, "server  ")
}

// TestSettingsTellOfKernels has the settings name the device, and the kernels that failed on it.
func TestSettingsTellOfKernels(t *testing.T) {
	s := filled(t)
	w, _ := newTestWindow(t, s, 1280, 800)
	w.showSettings()
	if w.names["settings.switched_off"] != nil {
		t.Error("kernels are switched off, though none is")
	}
	s.Version++
	s.Device.SwitchedOff = []string{"attention_bf16_128x64x4: differs from the CPU by 0.5 of the largest result"}
	w.show(s)
	w.showSettings()
	note, _ := w.names["settings.switched_off"].(*part.Text)
	if note == nil || !strings.Contains(note.Text(), "attention_bf16_128x64x4") || !strings.Contains(note.Text(), "gimbal doctor") {
		t.Errorf("the note is %v", note)
	}
}
