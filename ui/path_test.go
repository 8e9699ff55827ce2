package ui

import (
	"math"
	"testing"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/test"
	"fyne.io/fyne/v2/widget"

	"gimbal/inference/clip"
	"gimbal/inference/keyframes"
	"gimbal/ui/part"
	"gimbal/ui/studio"
)

// walked is a path with a turn and a climb.
func walked() keyframes.Path {
	return keyframes.Path{Round: true, Keys: []keyframes.Key{
		{FOV: 80}, {Frame: 24, Z: 6, FOV: 80}, {Frame: 48, X: 3, Y: -1, Z: 10, Heading: 60, Pitch: -8, FOV: 70, Ease: keyframes.EaseInOut}, {Frame: 80, X: 9, Y: -1, Z: 11, Heading: 120, FOV: 80},
	}}
}

// openWalk opens the editor on a path, with its third key chosen.
func openWalk(w *Window) {
	f := w.studio.(*fake)
	f.path = walked()
	for i := range 41 {
		f.recording.Poses = append(f.recording.Poses, walked().At(float64(2*i)).Pose())
	}
	f.recording.Poses = keyframes.Convention{OpenGL: true}.Poses(f.recording.Poses) // there and back is the same
	f.recording.Intrinsics = []clip.Intrinsics{{500, 500, 416, 240}}
	w.editPath()
	if img := f.thumb; img != nil {
		w.editor.SetPicture(img)
	}
	layOut(w)
	w.editor.View().Refresh()
	press(w.names["path.timeline"], 0.6, 0.88)
}

// press presses the mouse on an object, at a share of its width and height.
func press(o fyne.CanvasObject, x, y float32) {
	size := o.Size()
	o.(desktop.Mouseable).MouseDown(&desktop.MouseEvent{PointEvent: fyne.PointEvent{Position: fyne.NewPos(x*size.Width, y*size.Height)}})
}

// drag drags what is at a place of an object by some units.
func drag(o fyne.CanvasObject, at fyne.Position, dx, dy float32) {
	o.(desktop.Mouseable).MouseDown(&desktop.MouseEvent{PointEvent: fyne.PointEvent{Position: at}})
	for i := 1; i <= 4; i++ {
		o.(fyne.Draggable).Dragged(&fyne.DragEvent{PointEvent: fyne.PointEvent{Position: at.AddXY(dx*float32(i)/4, dy*float32(i)/4)}, Dragged: fyne.NewDelta(dx/4, dy/4)})
	}
	o.(fyne.Draggable).DragEnd()
}

func newPathWindow(t *testing.T) (*Window, *fake) {
	t.Helper()
	w, f := newTestWindow(t, filled(t), 1280, 800)
	test.Tap(w.names["camera.edit"].(fyne.Tappable))
	w.closeEditor()
	openWalk(w)
	return w, f
}

func TestPathEditor(t *testing.T) {
	w, f := newPathWindow(t)
	if w.stagePage.Visible() || !w.editorPage.Visible() {
		t.Fatal("the editor is not where the stage was")
	}
	tap := func(name string) { test.Tap(w.names["path."+name].(fyne.Tappable)) }
	keys := func() []keyframes.Key { return w.editor.Path().Keys }
	top := w.names["path.top"]
	size := top.Size()
	// The whole path is in view: its last key is at the right. Dragged to the left, it is there.
	at := w.editor.Place(3)
	if at.X < size.Width/2 || at.X > size.Width || at.Y < 0 || at.Y > size.Height {
		t.Fatalf("the last key is at %v of %v", at, size)
	}
	before := keys()[3]
	drag(top, at, -60, -20)
	if k := keys()[3]; k.X >= before.X || k.Z <= before.Z || k.Y != before.Y || k.Heading != before.Heading {
		t.Errorf("dragged to the left and ahead: %+v, was %+v", k, before)
	}
	// A drag is one step.
	tap("undo")
	if keys()[3] != before {
		t.Errorf("undone: %+v, was %+v", keys()[3], before)
	}
	tap("redo")
	if keys()[3] == before {
		t.Error("not redone")
	}
	// The first key is the picture's camera: it stays.
	drag(top, w.editor.Place(0), 50, 0)
	if k := keys()[0]; k.X != 0 || k.Z != 0 || !w.names["path.field.right"].(fyne.Disableable).Disabled() {
		t.Errorf("the first key went to %+v", k)
	}
	// Keys on the timeline.
	press(w.names["path.timeline"], 0.6, 0.88)
	line := w.names["path.timeline"]
	drag(line, fyne.NewPos(line.Size().Width*0.6, line.Size().Height-8), line.Size().Width*0.1, 0)
	if k := keys()[2]; k.Frame < 54 || k.Frame > 58 {
		t.Errorf("the third key is at frame %d", k.Frame)
	}
	entry := w.names["path.field.heading"]
	entry.(interface{ SetText(string) }).SetText("90,5")
	if keys()[2].Heading != 90.5 {
		t.Errorf("heading %g", keys()[2].Heading)
	}
	w.names["path.ease"].(*part.Segmented).Choose(2)
	w.names["path.round"].(*widget.Check).SetChecked(false)
	if keys()[2].Ease != keyframes.EaseOut || w.editor.Path().Round {
		t.Errorf("%+v", w.editor.Path())
	}
	n := len(keys())
	tap("delete")
	if len(keys()) != n-1 {
		t.Errorf("%d keys", len(keys()))
	}
	press(line, 0.5, 0.3)
	tap("add")
	if len(keys()) != n || keys()[2].Frame != 40 {
		t.Errorf("%+v", keys())
	}
	w.names["path.side"].(fyne.DoubleTappable).DoubleTapped(&fyne.PointEvent{Position: fyne.NewPos(5, 5)})
	if len(keys()) != n+1 {
		t.Errorf("%d keys after a double tap", len(keys()))
	}
	tap("use")
	expect(t, f, "use path")
	if len(f.path.Keys) != n+1 || w.editor != nil || !w.stagePage.Visible() {
		t.Errorf("the path that is used has %d keys", len(f.path.Keys))
	}
}

func TestPathMovesAndRecording(t *testing.T) {
	w, _ := newPathWindow(t)
	w.editor.Then("look-right")
	if p := w.editor.Path(); p.Last() != 80 || p.Keys[len(p.Keys)-1].Heading < walked().Keys[3].Heading+20 {
		t.Errorf("a move behind the path: %+v", p)
	}
	w.editor.Begin("forward")
	if p := w.editor.Path(); len(p.Keys) != 2 || p.Keys[1].Z < 7 || p.Keys[1].Frame != moveFrames-1 {
		t.Errorf("a path that begins with a move: %+v", p)
	}
	// A recording by keys that are held, with a clock of the test's.
	var tick func()
	var down, up func(fyne.KeyName)
	w.editor.SetClock(func(_ time.Duration, f func()) (stop func()) { tick = f; return func() { tick = nil } },
		func(d, u func(fyne.KeyName)) (release func()) { down, up = d, u; return func() {} })
	test.Tap(w.names["path.record"].(fyne.Tappable))
	if tick == nil || !w.names["path.use"].(fyne.Disableable).Disabled() {
		t.Fatal("it does not record")
	}
	for range 100 { // longer than the video: nobody is in a hurry
		tick()
	}
	if p := w.editor.Path(); tick == nil || len(p.Keys) != 2 {
		t.Fatalf("a recording begins before the first key: %+v", p)
	}
	down(fyne.KeyW)
	for range 20 {
		tick()
	}
	up(fyne.KeyW)
	down(fyne.KeyLeft)
	late := tick
	for tick != nil { // until the video is full
		tick()
	}
	late() // a tick that was on its way
	p := w.editor.Path()
	if end := p.At(80); math.Abs(end.Z-5) > 0.1 || math.Abs(end.Heading+120) > 1 || len(p.Keys) > 6 {
		t.Errorf("recorded %+v", p)
	}
	test.Tap(w.names["path.undo"].(fyne.Tappable))
	if p := w.editor.Path(); len(p.Keys) != 2 {
		t.Errorf("a recording is more than one step: %+v", p)
	}
}

// TestPathIsKept keeps what was drawn while the user looks at something else, and makes the video
// that Generate asks for on it.
func TestPathIsKept(t *testing.T) {
	w, f := newPathWindow(t)
	n := len(w.editor.Path().Keys)
	test.Tap(w.names["path.add"].(fyne.Tappable))
	w.showGet()
	if w.editorPage.Visible() || w.stagePage.Visible() || !w.undoing.undo.Disabled() != w.now.Form.CanUndo {
		t.Error("the models are not what is in front")
	}
	w.closeGet()
	w.editPath()
	if !w.editorPage.Visible() || w.stagePage.Visible() || len(w.editor.Path().Keys) != n+1 {
		t.Fatalf("the editor is seen: %t, with the path %+v", w.editorPage.Visible(), w.editor.Path())
	}
	w.window.Canvas().OnTypedKey()(&fyne.KeyEvent{Name: fyne.KeyBackspace})
	if got := len(w.editor.Path().Keys); got != n {
		t.Errorf("after Backspace there are %d keys of %d", got, n)
	}
	w.undo()
	w.generate()
	if !f.asked("generate on path") || len(f.path.Keys) != n+1 || w.editor != nil || !w.stagePage.Visible() {
		t.Errorf("a video is made with the path %+v: %q", f.path, f.calls)
	}
	w.editPath()
	w.generate()
	expect(t, f, "generate")
}

func TestPathImport(t *testing.T) {
	w, _ := newPathWindow(t)
	var used keyframes.Path
	use := func(p keyframes.Path) { used = p }
	w.readPath("/poses", use)
	w.names["import.convention"].(*part.Segmented).Choose(2)
	test.Tap(w.names["import.use"].(fyne.Tappable))
	if end := used.At(40); math.Abs(end.X-9)+math.Abs(end.Z-11) > 0.1 || math.Abs(end.Heading-120) > 1 {
		t.Errorf("by OpenGL's axes it ends at %+v", end)
	}
	w.readPath("/poses", use)
	test.Tap(w.names["import.use"].(fyne.Tappable))
	if end := used.At(40); end.Z > -10 {
		t.Errorf("as it is it ends at %+v", end)
	}
	w.importPath(use)
	test.Tap(w.names["import.take"].(fyne.Tappable)) // nothing typed
	if w.window.Canvas().Overlays().Top() == nil {
		t.Error("no keys were taken")
	}
	w.names["import.keys"].(*escapable).SetText("w-20,l-20")
	test.Tap(w.names["import.take"].(fyne.Tappable))
	if end := used.At(float64(used.Last())); math.Abs(end.Z-1) > 0.06 || math.Abs(end.Heading-40) > 3 {
		t.Errorf("of keys: %+v", end)
	}
}

// TestPathPoints makes sure that what the import shows is what is used.
func TestPathPoints(t *testing.T) {
	points := studio.PointsOf(walked(), 81)
	if len(points) != 21 || points[20].X != 9 || points[0].Forward != [3]float64{0, 0, 1} {
		t.Errorf("%d points, the last %+v", len(points), points[len(points)-1])
	}
}

// A video does not play behind the editor.
func TestEditorPausesTheVideo(t *testing.T) {
	s := watching(t)
	w, _ := newTestWindow(t, s, 1280, 800)
	if !w.stage.player.Playing() {
		t.Fatal("the video does not play")
	}
	w.editPath()
	if w.stage.player.Playing() {
		t.Error("it plays behind the editor")
	}
	s.Version++
	s.Stage.Entry.ID = "another"
	w.show(s)
	if w.stage.player.Playing() {
		t.Error("another video plays behind the editor")
	}
}
