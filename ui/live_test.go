package ui

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/test"
	"fyne.io/fyne/v2/widget"

	"gimbal/inference/clip"
	"gimbal/inference/live"
	pads "gimbal/ui/desktop"
	"gimbal/ui/part"
	"gimbal/ui/studio"
)

// walking returns a Snapshot of a walk of three chunks, the last of which is seen.
func walking(t *testing.T) studio.Snapshot {
	s := filled(t)
	s.Walk = studio.Walk{Can: studio.WalkReady, On: true, Dir: "walk", Idle: true, State: live.State{
		Phase: live.Walking, Prompt: "a plaza", At: 3, Chunk: 3, Way: []int{0, 1, 3}, ChunkFrames: 8,
		Ways: []live.Way{{Number: 1, Begin: 0, Tip: 2, Chunks: 1}, {Number: 2, Name: "left", Begin: 3, Tip: 3, Chunks: 3}},
		Held: live.Input{Move: clip.WASD{1}, Turn: clip.IJKL{1: 1}}, Latency: 1400 * time.Millisecond, FPS: 15.9, Ahead: 0.5, Memory: 107e6,
	}}
	return s
}

func TestLiveKeys(t *testing.T) {
	w, f := newTestWindow(t, walking(t), 1280, 800)
	w.walkKey(fyne.KeyW, true)
	if f.asked("hold [1 0 0 0] [0 0 0 0] false") {
		t.Error("a key of the page Create walks")
	}
	w.turn(pageLive)
	if w.progress.view.Visible() {
		t.Error("the bar of Create is seen beside a walk")
	}
	w.walkKey(fyne.KeyW, true)
	w.walkKey(desktop.KeyShiftLeft, true)
	w.walkKey(fyne.KeyLeft, true)
	expect(t, f, "hold [1 0 0 0] [0 0 0 0] false")
	expect(t, f, "hold [1 0 0 0] [0 1 0 0] true")
	w.walkKey(fyne.KeyW, false)
	expect(t, f, "hold [0 0 0 0] [0 1 0 0] true")
	w.walkKey(fyne.KeySpace, true)
	w.walkKey(fyne.KeySpace, false)
	expect(t, f, "pause true")
	w.turn(pageCreate)
	expect(t, f, "hold [0 0 0 0] [0 0 0 0] false")
}

// TestLiveThumb has the picture of a chunk come while it is asked for: it is asked for again.
func TestLiveThumb(t *testing.T) {
	s := walking(t)
	w, f := newTestWindow(t, s, 1280, 800)
	var asked []func() // what is done in the background, and not told yet
	w.options.aside = func(work, done func()) { work(); asked = append(asked, done) }
	tell := func() {
		now := asked
		asked = nil
		for _, done := range now {
			done()
		}
	}
	thumb := f.thumb
	f.thumb = nil
	s.Version, s.Walk.Way = s.Version+1, []int{0, 1, 4, 5}
	w.show(s) // nobody has seen the ends of the last two
	f.thumb = thumb
	s.Version++
	w.show(s) // they were seen, and nothing comes after that
	tell()
	tell()
	if got := w.live.strip.thumbs; got[4] != thumb || got[5] != thumb || len(asked) > 0 {
		t.Errorf("the strip has %d pictures, %d are asked for", len(got), len(asked))
	}
	f.thumb = nil
	s.Version, s.Walk.Way = s.Version+1, []int{0, 1, 6, 7}
	w.show(s)
	s.Version++
	w.show(s)
	for range 3 {
		tell()
	}
	if len(asked) > 0 {
		t.Error("pictures that there are not yet are asked for again and again")
	}
}

// TestLiveKeyBegins begins a walk by pressing a key on the page Live, once for all that are held then.
func TestLiveKeyBegins(t *testing.T) {
	s := filled(t)
	s.Walk.Can = studio.WalkReady
	w, f := newTestWindow(t, s, 1280, 800)
	w.walkKey(fyne.KeyW, true)
	w.walkKey(fyne.KeyW, false)
	w.turn(pageLive)
	w.walkKey(fyne.KeySpace, true)
	w.walkKey(desktop.KeyShiftLeft, true)
	if len(f.calls) > 0 {
		t.Fatalf("asked for %q", f.calls)
	}
	w.walkKey(fyne.KeyW, true)
	w.walkKey(fyne.KeyA, true)
	w.walkKey(fyne.KeyW, false)
	if want := []string{"walk [1 0 0 0] [0 0 0 0]"}; !slices.Equal(f.calls, want) {
		t.Fatalf("asked for %q, want %q", f.calls, want)
	}
	s.Version, s.Walk.On = s.Version+1, true
	w.show(s)
	expect(t, f, "hold [0 1 0 0] [0 0 0 0] true")
	f.calls = nil
	s.Version, s.Form.Picture.Thumb = s.Version+1, nil
	w.live.screen.setImage(nil)
	w.show(s)
	if len(f.calls) > 0 {
		t.Errorf("a walk without a picture yet, shown again, asks for %q", f.calls)
	}
}

// TestLiveGamepad walks by a gamepad, beside the keys, until it is pulled out.
func TestLiveGamepad(t *testing.T) {
	w, f := newTestWindow(t, walking(t), 1280, 800)
	desk := w.options.Desktop.(*pads.Recorder)
	held := func(pad *pads.Gamepad, call string) {
		t.Helper()
		f.calls = nil
		desk.Pad = pad
		w.live.pad.look()
		w.live.pad.look() // asks once
		if len(f.calls) != 1 || f.calls[0] != call {
			t.Errorf("by %+v it asked for %q, want %q", pad, f.calls, call)
		}
	}
	w.turn(pageLive)
	held(&pads.Gamepad{Left: [2]float64{0.2, -1}, Right: [2]float64{-0.9, 0}}, "hold [1 0 0 0] [0 1 0 0] false")
	held(&pads.Gamepad{Left: [2]float64{0.5, 0}, Right: [2]float64{0, 0.5}}, "hold [0 0 0 1] [0 0 1 0] true")
	w.walkKey(fyne.KeyW, true)
	expect(t, f, "hold [1 0 0 1] [0 0 1 0] true")
	held(nil, "hold [1 0 0 0] [0 0 0 0] false")
	held(&pads.Gamepad{Start: true}, "pause true")
	desk.Pad = &pads.Gamepad{Left: [2]float64{0, 1}}
	w.live.pad.look()
	w.turn(pageCreate)
	if last := f.calls[len(f.calls)-1]; last != "hold [0 0 0 0] [0 0 0 0] false" {
		t.Errorf("what leaves the page is held: %q", last)
	}
}

func TestLiveShowsTheWalk(t *testing.T) {
	w, f := newTestWindow(t, walking(t), 1280, 800)
	w.turn(pageLive)
	layOut(w)
	l := w.live
	if got := l.keys.Text(); got != "W J" {
		t.Errorf("the keys are %q", got)
	}
	if got := l.numbers.Text(); got != "chunk 3  ·  1.4 s from key to picture  ·  0.5 chunks ahead  ·  15.9 pictures/s  ·  0.0 s a chunk  ·  107 MB" {
		t.Errorf("the numbers are %q", got)
	}
	if l.ways.Selected != "2. left" || l.say.Text != "a plaza" {
		t.Errorf("on the way %q with the prompt %q", l.ways.Selected, l.say.Text)
	}
	if len(f.calls) > 0 && f.asked("go 3") {
		t.Error("what is shown was asked for")
	}
	test.Tap(w.names["live.chunk.1"].(*part.Tile))
	expect(t, f, "go 1")
	if l.screen.image == nil || l.screen.image != f.thumb {
		t.Error("the chunk's picture is not seen at once")
	}
	if got := l.ways.Options[0]; got != "1. 1 chunk" {
		t.Errorf("the first way is %q", got)
	}
	l.ways.SetSelectedIndex(0)
	expect(t, f, "go 2")
	test.Tap(w.names["live.again"].(*widget.Button))
	expect(t, f, "go -1")
	l.say.SetText("a plaza at night")
	l.say.OnSubmitted(l.say.Text)
	expect(t, f, "say a plaza at night")
	l.screen.Dragged(&fyne.DragEvent{Dragged: fyne.NewDelta(l.screen.Size().Width/2, -l.screen.Size().Width/4)})
	expect(t, f, "drag 0.698 0.349")
	for name, call := range map[string]string{"live.save": "save walk", "live.create": "use camera", "live.end": "end walk"} {
		test.Tap(w.names[name].(*widget.Button))
		expect(t, f, call)
	}
}

// TestLiveBeforeTheFirstChunk has nothing to choose, and no numbers but the one that is known.
func TestLiveBeforeTheFirstChunk(t *testing.T) {
	s := walking(t)
	s.Walk.State = live.State{Phase: live.Walking, Waiting: true, At: -1, Memory: 107e6}
	w, _ := newTestWindow(t, s, 1280, 800)
	w.turn(pageLive)
	if got := w.live.numbers.Text(); got != "107 MB" || w.live.ways.Visible() || w.live.name.Visible() {
		t.Errorf("the numbers are %q, ways are offered: %t", got, w.live.ways.Visible())
	}
}

// TestLiveSaving says how far a video is, and what came of it, where it was asked for.
func TestLiveSaving(t *testing.T) {
	s := walking(t)
	s.Walk.Paused, s.Walk.Held, s.Walk.Saving, s.Walk.Saved, s.Walk.Total = true, live.Input{}, "/videos", 8, 24
	w, _ := newTestWindow(t, s, 1280, 800)
	w.turn(pageLive)
	if got := w.live.keys.Text(); got != "Saving: 8 of 24 frames" {
		t.Errorf("while a video is saved it says %q", got)
	}
	s.Version++
	s.Walk.Saving, s.Walk.Saved, s.Walk.Total = "", 0, 0
	s.Notices = []studio.Notice{{ID: 1, Level: studio.Info, Code: studio.WalkSaved, Args: map[string]any{"Path": "/videos"}}}
	w.show(s)
	if got := textOf(w.live.view); !strings.Contains(got, "The walk's video is in /videos") {
		t.Errorf("after it was saved the page says %q", got)
	}
}

// TestLiveStrip goes through a long way's chunks. Of those that are not shown nothing is kept.
func TestLiveStrip(t *testing.T) {
	s := walking(t)
	s.Walk.Way = nil
	for c := range 150 {
		s.Walk.Way = append(s.Walk.Way, c)
	}
	s.Walk.At = 149
	w, f := newTestWindow(t, s, 1280, 800)
	w.turn(pageLive)
	tap := func(name string, first, last int) {
		t.Helper()
		if name != "" {
			test.Tap(w.names[name].(fyne.Tappable))
		}
		for chunk := range s.Walk.Way {
			o := w.names[fmt.Sprintf("live.chunk.%d", chunk)]
			if shown := o != nil && slices.Contains(w.live.strip.row.Objects, o); shown != (chunk >= first && chunk <= last) || shown != (o != nil) {
				t.Errorf("after %q chunk %d is shown: %t", name, chunk, shown)
			}
		}
		if n := len(w.live.strip.thumbs); n > stripChunks {
			t.Errorf("after %q %d pictures are kept", name, n)
		}
	}
	tap("", 90, 149)
	tap("live.earlier", 40, 99)
	tap("live.earlier", 0, 59)
	test.Tap(w.names["live.chunk.7"].(fyne.Tappable))
	expect(t, f, "go 7")
	tap("live.later", 50, 109)
	s.Version, s.Walk.Way = s.Version+1, append(s.Walk.Way, 150)
	w.show(s)
	tap("", 50, 109) // stays where one looks
	tap("live.later", 91, 150)
}

// TestLiveExplains says why there is no walk, and offers what there is in its place.
func TestLiveExplains(t *testing.T) {
	s := filled(t)
	s.Walk.Can = studio.WalkWhole
	w, f := newTestWindow(t, s, 1280, 800)
	w.turn(pageLive)
	start, instead := w.names["live.start"].(*widget.Button), w.names["live.make"].(*widget.Button)
	if !start.Disabled() || !instead.Visible() || w.live.why.Text() == "" || w.live.walking.Visible() {
		t.Error("a model that makes its videos in one go can be walked by")
	}
	test.Tap(instead)
	if w.page != pageCreate {
		t.Error("the offer does not lead to Create")
	}
	s.Version++
	s.Walk.Can = studio.WalkReady
	w.show(s)
	if start.Disabled() || instead.Visible() || w.live.why.Visible() {
		t.Error("a causal model cannot be walked by")
	}
	test.Tap(start)
	expect(t, f, "walk [0 0 0 0] [0 0 0 0]")
}
