package ui

import (
	"fmt"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/dialog"
	keyboard "fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/widget"

	"gimbal/inference/keyframes"
	"gimbal/ui/desktop"
	"gimbal/ui/look"
	"gimbal/ui/part"
	"gimbal/ui/pathedit"
	"gimbal/ui/plot"
	"gimbal/ui/studio"
)

// moveFrames is the length of the built-in moves that the editor offers: two seconds.
const moveFrames = 33

// editPath opens the editor of the camera path in place of the stage, unless it is open.
func (w *Window) editPath() {
	w.closeGet()
	if w.editor != nil {
		return
	}
	w.stage.player.Pause() // nobody sees it
	path, frames := w.studio.EditablePath()
	s := w.now.Form
	aspect := 832. / 480
	if s.Width > 0 {
		aspect = float64(s.Width) / float64(s.Height)
	}
	moves := studio.Moves(moveFrames)
	o := pathedit.Options{
		Path: path, Frames: frames, FPS: s.Inputs.Job.FPS, Picture: s.Picture.Thumb, Aspect: aspect, Words: pathWords(),
		Canvas: w.window.Canvas(), Every: func(d time.Duration, f func()) (stop func()) { return w.options.every(d, f) },
		Hold: w.holdKeys,
		OnUse: func(p keyframes.Path) {
			w.studio.UsePath(p)
			w.closeEditor()
		},
		OnCancel: w.closeEditor, OnImport: w.importPath,
		OnExport: func(p keyframes.Path) {
			panel := desktop.Panel{Kind: desktop.SaveFile, Title: tr("path.export_title"), Name: tr("path.export_name")}
			w.pick(panel, func(folder string) { w.studio.ExportPath(p, folder) })
		},
	}
	for _, name := range studio.BuiltinCameras() {
		if name != "still" {
			o.Moves = append(o.Moves, pathedit.Move{ID: name, Name: tr("camera." + name), Path: moves[name]})
		}
	}
	w.editor = pathedit.New(o)
	for name, o := range w.editor.Parts() {
		w.names["path."+name] = o
	}
	w.editorPage.Objects = []fyne.CanvasObject{w.editor.View()}
	w.editorPage.Refresh()
	w.arrange()
	editor := w.editor
	go func() {
		if img := w.studio.EditorPicture(); img != nil {
			fyne.Do(func() { editor.SetPicture(img) })
		}
	}()
}

// holdKeys tells which keys go down and up, which are then no text and no commands.
func (w *Window) holdKeys(down, up func(key fyne.KeyName)) (release func()) {
	w.window.Canvas().Unfocus()
	c, ok := w.window.Canvas().(keyboard.Canvas)
	if !ok {
		return func() {}
	}
	wasDown, wasUp := c.OnKeyDown(), c.OnKeyUp()
	c.SetOnKeyDown(func(k *fyne.KeyEvent) { down(k.Name) })
	c.SetOnKeyUp(func(k *fyne.KeyEvent) { up(k.Name) })
	return func() {
		c.SetOnKeyDown(wasDown)
		c.SetOnKeyUp(wasUp)
	}
}

// closeEditor gives the stage its room again.
func (w *Window) closeEditor() {
	if w.editor == nil {
		return
	}
	w.editor.Close()
	for name := range w.editor.Parts() {
		delete(w.names, "path."+name)
	}
	w.editor = nil
	w.editorPage.Objects = nil
	w.arrange()
}

// deleteKey removes the chosen key frame of the path, where the editor is in front.
func (w *Window) deleteKey() {
	if w.page == pageCreate && w.editorPage.Visible() && !w.covered() {
		w.editor.Delete()
	}
}

// pathWords are what the editor says.
func pathWords() pathedit.Words {
	return pathedit.Words{
		Title: tr("path.title"), Top: tr("camera.top"), Side: tr("camera.side"), Start: tr("path.start"), Through: tr("path.through"),
		Moves: tr("path.moves"), Begin: tr("path.begin"), Then: tr("path.then"), Back: tr("path.back"),
		Import: tr("path.import"), Export: tr("path.export"), Record: tr("path.record"), Stop: tr("path.stop"), RecordHelp: tr("path.record_help"),
		Use: tr("path.use"), Cancel: tr("cancel"), Ease: tr("path.ease"), Round: tr("path.round"),
		Eases: [4]string{tr("ease.linear"), tr("ease.in"), tr("ease.out"), tr("ease.both")},
		Fields: map[string]string{
			"frame": tr("path.frame"), "fov": tr("path.fov"), "right": tr("path.right"), "ahead": tr("path.ahead"), "up": tr("path.up"),
			"heading": tr("path.heading"), "pitch": tr("path.pitch"), "roll": tr("path.roll"),
		},
		Absolute: tr("path.absolute"), AbsoluteHint: tr("path.absolute_hint"),
		Fast: func(s keyframes.Step) string {
			return tr("path.fast", map[string]any{"Frame": s.Frame, "Times": fmt.Sprintf("%.1f", s.Seen)})
		},
		Key: func(n, of int) string { return tr("path.key", map[string]any{"N": n, "Of": of}) },
		Crawl: func(c keyframes.Crawl) string {
			return tr("path.crawl", map[string]any{"Frame": c.Frame, "Times": fmt.Sprintf("%.0f", c.Times), "Share": fmt.Sprintf("%.0f", 100*c.Share)})
		},
	}
}

// conventions are those of poses that are offered, in the order of their words.
var conventions = []keyframes.Convention{{}, {WorldToCamera: true}, {OpenGL: true}, {WorldToCamera: true, OpenGL: true}}

// importPath asks for a path: a folder, or keys.
func (w *Window) importPath(use func(p keyframes.Path)) {
	entry := newEscapable(w.escape)
	entry.SetPlaceHolder("w-20,wl-30,none-5")
	wrong := part.NewHint(400)
	w.names["import.keys"] = entry
	var d *dialog.CustomDialog
	folder := widget.NewButton(tr("path.import_folder"), func() {
		d.Hide()
		w.pick(desktop.Panel{Kind: desktop.PickFolder, Title: tr("path.import_title")}, func(path string) { w.readPath(path, use) })
	})
	take := func(text string) {
		p, err := w.studio.ActionsPath(text)
		if err != nil {
			wrong.Set(look.ColorSecondary, err.Error())
			return
		}
		d.Hide()
		use(p)
	}
	entry.OnSubmitted = take
	keys := widget.NewButton(tr("path.import_keys"), func() { take(entry.Text) })
	w.names["import.folder"], w.names["import.take"] = folder, keys
	content := part.Column(10, part.NewNote(tr("path.import_about"), 420), part.Line(0, folder, part.Spread(part.Gap(0, 0))), part.Line(6, part.Spread(entry), keys), wrong)
	d = dialog.NewCustom(tr("path.import_title"), tr("cancel"), part.Sized(420, 0, content), w.window)
	w.open(d)
}

// readPath reads a folder and shows its path by every convention before it is used.
func (w *Window) readPath(path string, use func(p keyframes.Path)) {
	r, err := w.studio.ReadPath(path)
	if err != nil {
		w.fail(err)
		return
	}
	before, after := plot.NewTop(), plot.NewTop()
	beforeSide, afterSide := plot.NewSide(), plot.NewSide()
	frames := len(r.Poses)
	points := func(p keyframes.Path) []plot.Point { return plotPoints(studio.PointsOf(p, frames)) }
	asRead := points(r.As(keyframes.Convention{}))
	before.SetPath(asRead)
	beforeSide.SetPath(asRead)
	chosen := 0
	show := func(i int) {
		chosen = i
		now := points(r.As(conventions[i]))
		after.SetPath(now)
		afterSide.SetPath(now)
	}
	words := part.NewSegmented([]string{"OpenCV c2w", "OpenCV w2c", "OpenGL c2w", "OpenGL w2c"}, show)
	words.SetSelected(0)
	show(0)
	w.names["import.convention"] = words
	pair := func(title string, a, b *plot.Panel) fyne.CanvasObject {
		return part.Column(4, part.NewCaption(title), container.NewGridWithColumns(2, framed(a, tr("camera.top")), framed(b, tr("camera.side"))))
	}
	content := part.Column(10, part.NewNote(tr("path.convention_about"), 480), words,
		pair(tr("path.before"), before, beforeSide), pair(tr("path.after"), after, afterSide))
	d := dialog.NewCustomWithoutButtons(shortPath(path), part.Sized(480, 0, content), w.window)
	take := primary(widget.NewButton(tr("path.use"), func() { d.Hide(); use(r.As(conventions[chosen])) }))
	w.names["import.use"] = take
	d.SetButtons([]fyne.CanvasObject{widget.NewButton(tr("cancel"), d.Hide), take})
	w.open(d)
}
