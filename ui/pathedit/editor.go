package pathedit

import (
	"image"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"gimbal/inference/keyframes"
	"gimbal/ui/look"
	"gimbal/ui/part"
)

// Options are what an editor works with.
type Options struct {
	Path    keyframes.Path
	Frames  int // of the video
	FPS     int
	Picture image.Image // that the video starts from; nil for none
	Aspect  float64     // width by height of the video
	Moves   []Move
	Words   Words
	Canvas  fyne.Canvas
	Every   func(d time.Duration, f func()) (stop func()) // for recording
	// Hold tells which keys go down and up until release is called.
	Hold func(down, up func(key fyne.KeyName)) (release func())

	OnUse    func(p keyframes.Path)
	OnCancel func()
	OnImport func(use func(p keyframes.Path)) // asks for a path to take in place of this one
	OnExport func(p keyframes.Path)
}

// Move is a path that is offered.
type Move struct {
	Name string // in the user's language
	ID   string
	Path keyframes.Path
}

// Words are what an editor says, in the user's language.
type Words struct {
	Title, Top, Side, Start, Through, Add, Delete, Moves, Begin, Then, Back string
	Import, Export, Record, Stop, RecordHelp, Use, Cancel, Ease, Round      string

	Eases  [4]string         // as keyframes.Eases
	Fields map[string]string // frame, fov, right, ahead, up, heading, pitch, roll
	Key    func(n, of int) string
	Crawl  func(keyframes.Crawl) string
	Fast   func(keyframes.Step) string

	Absolute, AbsoluteHint string
}

// Editor edits a camera path.
type Editor struct {
	o           Options
	s           *session
	left, right *board
	scene       *scene
	timeline    *timeline
	fields      *fields
	notes       notes
	help        *part.Hint
	through     *part.Segmented
	recorder    *recorder // while it records
	buttons     map[string]*widget.Button
	view        fyne.CanvasObject
}

// New returns an editor of a path.
func New(o Options) *Editor {
	e := &Editor{o: o, s: newSession(o.Path, o.Frames), buttons: map[string]*widget.Button{}}
	e.left, e.right = newBoard(e.s, false), newBoard(e.s, true)
	e.scene, e.timeline = newScene(e.s, o.Picture, o.Aspect), newTimeline(e.s)
	e.fields = newFields(e.s, o.Words)
	e.notes = notes{part.NewHint(210)}
	e.help = part.NewHint(210)
	e.through = part.NewSegmented([]string{o.Words.Start, o.Words.Through}, func(i int) {
		e.scene.through = i == 1
		e.scene.Refresh()
	})
	e.s.changed = e.show
	e.layOut()
	e.show()
	return e
}

// View is what the window shows.
func (e *Editor) View() fyne.CanvasObject { return e.view }

// Path is the path as it is now.
func (e *Editor) Path() keyframes.Path { return e.s.path() }

// Changed reports whether the path is another than in the beginning.
func (e *Editor) Changed() bool { return e.s.stack.CanUndo() }

// Close ends a recording that is under way.
func (e *Editor) Close() {
	if e.recorder != nil {
		e.recorder.end()
	}
}

// Parts are the editor's parts by names, for tests.
func (e *Editor) Parts() map[string]fyne.CanvasObject {
	parts := map[string]fyne.CanvasObject{"top": e.left, "side": e.right, "scene": e.scene, "timeline": e.timeline, "round": e.fields.round, "absolute": e.fields.speed, "ease": e.fields.ease, "through": e.through}
	for name, b := range e.buttons {
		parts[name] = b
	}
	for name, n := range e.fields.numbers {
		parts["field."+name] = n
	}
	return parts
}

func (e *Editor) button(name, text string, icon fyne.Resource, tapped func()) *widget.Button {
	b := widget.NewButtonWithIcon(text, icon, tapped)
	e.buttons[name] = b
	return b
}

func (e *Editor) layOut() {
	w := e.o.Words
	moves := e.button("moves", w.Moves, look.IconDown, nil)
	moves.IconPlacement = widget.ButtonIconTrailingText
	moves.OnTapped = func() { e.showMoves(moves) }
	use := e.button("use", w.Use, nil, func() { e.o.OnUse(e.s.path()) })
	use.Importance = widget.HighImportance
	bar := part.Line(6,
		part.NewTitle(w.Title), part.Spread(part.Gap(0, 0)),
		e.button("undo", "", theme.ContentUndoIcon(), e.s.undo), e.button("redo", "", theme.ContentRedoIcon(), e.s.redo),
		e.button("add", "", theme.ContentAddIcon(), e.s.add), e.button("delete", "", theme.DeleteIcon(), e.s.remove),
		moves,
		e.button("record", w.Record, theme.MediaRecordIcon(), e.record),
		e.button("import", w.Import, nil, func() { e.o.OnImport(func(p keyframes.Path) { e.s.replace(p); e.fit() }) }),
		e.button("export", w.Export, nil, func() { e.o.OnExport(e.s.path()) }),
	)
	framed := func(o fyne.CanvasObject, caption string) fyne.CanvasObject {
		return container.NewStack(part.Background(look.ColorSunken, "", 8), o, part.Inset(6, 0, 9, 9, container.NewVBox(part.NewCaption(caption))))
	}
	side := part.Column(12, e.fields.view, e.notes.text, e.help)
	end := part.Line(6, part.Spread(part.Gap(0, 0)), e.button("cancel", w.Cancel, nil, e.o.OnCancel), use)
	picture := part.Dock(part.Inset(0, 6, 0, 0, part.Line(0, part.Spread(e.through))), nil, nil, nil, container.NewStack(part.Background(look.ColorSunken, "", 8), e.scene))
	middle := container.NewGridWithColumns(2, container.NewGridWithRows(2, picture, framed(e.right, w.Side)), framed(e.left, w.Top))
	below := part.Inset(10, 0, 0, 0, container.NewStack(part.Background(look.ColorSunken, "", 8), e.timeline))
	e.view = part.Dock(part.Inset(0, 10, 0, 0, bar), part.Inset(10, 0, 0, 0, end), nil,
		part.Inset(0, 0, 14, 0, part.Sized(214, 0, container.NewVScroll(part.Inset(0, 0, 0, 4, side)))), part.Dock(nil, below, nil, nil, middle))
}

// fit shows all of the path from above and from the side.
func (e *Editor) fit() {
	e.left.fit()
	e.right.fit()
}

// show takes over what has changed.
func (e *Editor) show() {
	enable := func(name string, on bool) {
		if b := e.buttons[name]; on {
			b.Enable()
		} else {
			b.Disable()
		}
	}
	free := e.recorder == nil
	enable("undo", free && e.s.stack.CanUndo())
	enable("redo", free && e.s.stack.CanRedo())
	enable("add", free)
	enable("delete", free && e.s.selected > 0)
	for _, name := range []string{"moves", "import", "export", "use"} {
		enable(name, free)
	}
	record, icon := e.o.Words.Record, theme.MediaRecordIcon()
	if e.help.Set(look.ColorSecondary); !free {
		record, icon = e.o.Words.Stop, theme.MediaStopIcon()
		e.help.Set(look.ColorSecondary, e.o.Words.RecordHelp)
	}
	if b := e.buttons["record"]; b.Text != record {
		b.Icon = icon
		b.SetText(record)
	}
	if i := map[bool]int{true: 1}[e.scene.through]; e.through.Selected() != i {
		e.through.SetSelected(i)
	}
	e.fields.show(e.o.Words)
	e.notes.show(e.s, e.o.Words)
	for _, o := range []fyne.CanvasObject{e.left, e.right, e.scene, e.timeline} {
		o.Refresh()
	}
}

// showMoves offers the built-in moves: as a new path, or behind this one.
func (e *Editor) showMoves(below *widget.Button) {
	menu := func(act func(id string)) *fyne.Menu {
		m := fyne.NewMenu("")
		for _, move := range e.o.Moves {
			m.Items = append(m.Items, fyne.NewMenuItem(move.Name, func() { act(move.ID) }))
		}
		return m
	}
	begin, then := fyne.NewMenuItem(e.o.Words.Begin, nil), fyne.NewMenuItem(e.o.Words.Then, nil)
	begin.ChildMenu, then.ChildMenu = menu(e.Begin), menu(e.Then)
	back := fyne.NewMenuItem(e.o.Words.Back, func() { e.s.replace(e.s.path().Back()); e.fit() })
	pop := widget.NewPopUpMenu(fyne.NewMenu("", begin, then, fyne.NewMenuItemSeparator(), back), e.o.Canvas)
	at := fyne.CurrentApp().Driver().AbsolutePositionForObject(below)
	pop.ShowAtPosition(at.AddXY(0, below.Size().Height+4))
}

// SetPicture shows another picture, or a larger one.
func (e *Editor) SetPicture(img image.Image) {
	e.scene.picture, e.scene.scaled = img, nil
	e.scene.Refresh()
}

// Place returns where a key is from above, in the units of the part "top".
func (e *Editor) Place(key int) fyne.Position {
	at := e.left.place(e.s.path().Keys[key])
	return fyne.NewPos(float32(at.x), float32(at.y))
}

// Begin makes a move the path, and Then puts one behind it, by its ID.
func (e *Editor) Begin(id string) { e.move(id, e.s.replace) }

// Then is Begin behind the path as it is.
func (e *Editor) Then(id string) { e.move(id, e.s.follow) }

func (e *Editor) move(id string, act func(keyframes.Path)) {
	for _, m := range e.o.Moves {
		if m.ID == id {
			act(m.Path)
			e.fit()
		}
	}
}

// SetClock has recordings move by another clock and other keys.
func (e *Editor) SetClock(every func(d time.Duration, f func()) (stop func()), hold func(down, up func(fyne.KeyName)) (release func())) {
	e.o.Every, e.o.Hold = every, hold
}

// Delete removes the chosen key, unless that is the first or there is a recording under way.
func (e *Editor) Delete() {
	if e.recorder == nil && e.s.selected > 0 {
		e.s.remove()
	}
}

// Undo takes the last change back, unless there is a recording under way; Redo takes that back.
func (e *Editor) Undo() {
	if e.recorder == nil {
		e.s.undo()
	}
}

// Redo takes an Undo back.
func (e *Editor) Redo() {
	if e.recorder == nil {
		e.s.redo()
	}
}
