package ui

import (
	"fmt"
	"image"
	"path/filepath"
	"slices"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"gimbal/inference/library"
	"gimbal/ui/desktop"
	"gimbal/ui/look"
	"gimbal/ui/part"
	"gimbal/ui/studio"
)

const detailWidth = 300

// libraryDetail is the run that is chosen in the library, with what can be done with it.
type libraryDetail struct {
	w       *Window
	entry   library.Entry
	image   fyne.CanvasObject
	badge   *part.Badge
	prompt  *part.Text
	about   *part.Text
	problem *part.Hint
	busy    *part.Text
	buttons map[string]*widget.Button
	files   fyne.CanvasObject // what can be done with a video
	view    fyne.CanvasObject
	body    fyne.CanvasObject
}

func newLibraryDetail(w *Window) *libraryDetail {
	const inner = detailWidth - 36
	d := &libraryDetail{
		w: w, image: part.Picture(nil, 8), badge: part.NewBadge(), problem: part.NewHint(inner), busy: part.NewCaption(""),
		prompt: part.NewText("").Wrapped(inner), about: part.NewNote("", inner), buttons: map[string]*widget.Button{},
	}
	add := func(name, key string, tapped func()) *widget.Button {
		b := widget.NewButton(tr(key), tapped)
		d.buttons[name], w.names["library."+name] = b, b
		return b
	}
	show := primary(add("show", "library.show", d.watch))
	add("resume", "library.resume", func() { w.studio.Resume(d.entry.ID); w.turn(pageCreate) })
	d.files = part.Column(6, show,
		container.NewGridWithColumns(2, add("open", "library.open", d.open), add("reveal", "library.reveal", d.reveal)),
		container.NewGridWithColumns(2, add("export", "library.export", d.export), add("compare", "library.compare", d.compare)))
	last := container.NewGridWithColumns(2, add("copy", "library.copy", func() {
		w.studio.CopySettings(d.entry.ID)
		w.turn(pageCreate)
	}), add("delete", "library.delete", d.delete))
	actions := part.Column(6, d.files, d.buttons["resume"], last)
	well := part.Sized(inner, 150, container.NewStack(part.Background(look.ColorSunken, "", 8), d.image))
	d.body = part.Column(12, well, part.Line(6, d.badge, part.Spread(d.busy)), d.prompt, d.about, d.problem, actions)
	d.body.Hide()
	d.view = container.NewVScroll(part.Inset(16, 16, 18, 18, d.body))
	return d
}

func (d *libraryDetail) clear() {
	setVisible(d.body, false)
	d.entry = library.Entry{}
}

func (d *libraryDetail) show(e library.Entry, thumb image.Image, exports []studio.Export) {
	d.entry = e
	setPicture(d.image, thumb)
	setState(d.badge, e.State)
	d.prompt.SetText(e.Settings.Job.Prompt)
	d.about.SetText(settingsText(e))
	d.problem.Set(theme.ColorNameError, failureText(e))
	busy := ""
	if i := slices.IndexFunc(exports, func(x studio.Export) bool { return x.ID == e.ID }); i >= 0 {
		busy = tr("library.exporting", map[string]any{"Done": exports[i].Done, "Total": exports[i].Total})
	}
	d.busy.SetText(busy)
	setVisible(d.files, e.State == library.Done)
	setEnabled(d.buttons["compare"], d.w.now.CanCompare(d.w.now.Library.Entries, e.ID))
	setVisible(d.buttons["resume"], e.CanResume())
	setEnabled(d.buttons["delete"], e.State.Finished())
	setVisible(d.body, true)
}

// compare shows the video beside those that were asked for with it, or the one on the stage.
func (d *libraryDetail) compare() {
	d.w.studio.Compare(d.entry.ID)
	d.w.turn(pageCreate)
}

// settingsText lists a run's settings.
func settingsText(e library.Entry) string {
	job := e.Settings.Job
	camera := tr("camera.none")
	switch {
	case e.Settings.Camera != "":
		camera = tr("camera." + e.Settings.Camera)
	case job.ActionPath != "":
		camera = filepath.Base(job.ActionPath)
	}
	model := tr("model.demo")
	if e.Settings.Checkpoint != "" {
		model = filepath.Base(e.Settings.Checkpoint)
	}
	took := ""
	if e.Seconds > 0 {
		took = tr("library.took", map[string]any{"Time": duration(seconds(e.Seconds))})
	}
	lines := []string{
		runSummary(e),
		join(tr("camera")+" "+camera, tr("library.guidance", map[string]any{"Value": fmt.Sprintf("%g, %g", job.Guidance.High, job.Guidance.Low)})),
		join(model, quantName(job.Quant)),
		join(e.Created.Local().Format("2006-01-02 15:04"), took, e.Device),
	}
	text := ""
	for _, line := range lines {
		text += line + "\n"
	}
	return text[:len(text)-1]
}

// watch puts the video on the stage.
func (d *libraryDetail) watch() {
	d.w.studio.Show(d.entry.ID)
	d.w.turn(pageCreate)
}

func (d *libraryDetail) open() {
	d.w.ask(func() error { return d.w.options.Desktop.Open(d.entry.Video) })
}
func (d *libraryDetail) reveal() {
	d.w.ask(func() error { return d.w.options.Desktop.Reveal(d.entry.Video) })
}

func (d *libraryDetail) delete() {
	id := d.entry.ID
	d.w.askDelete(tr("library.delete_title", map[string]any{"Title": d.entry.Title()}), tr("library.delete_text"),
		func() { d.w.studio.Delete(id) })
}

// export asks as what.
func (d *libraryDetail) export() {
	at := d.w.app.Driver().AbsolutePositionForObject(d.buttons["export"])
	widget.ShowPopUpMenuAtPosition(fyne.NewMenu("", d.w.exportItems(d.entry)...), d.w.window.Canvas(), at.AddXY(0, d.buttons["export"].Size().Height+4))
}

// exportItems are the kinds of file that a run can be exported as.
func (w *Window) exportItems(e library.Entry) []*fyne.MenuItem {
	item := func(kind library.ExportKind, key, ending string) *fyne.MenuItem {
		return fyne.NewMenuItem(tr(key), func() {
			panel := desktop.Panel{Kind: desktop.SaveFile, Title: tr("export.title"), Name: fileName(e) + ending}
			if ending == "" {
				panel = desktop.Panel{Kind: desktop.PickFolder, Title: tr("export.folder")}
			} else {
				panel.Extensions = []string{ending[1:]}
			}
			w.pick(panel, func(path string) {
				if ending == "" {
					path = filepath.Join(path, fileName(e))
				}
				w.studio.Export(e.ID, kind, path)
			})
		})
	}
	return []*fyne.MenuItem{
		item(library.ExportMP4, "export.mp4", ".mp4"), item(library.ExportGIF, "export.gif", ".gif"),
		item(library.ExportPNGs, "export.png", ""), item(library.ExportSheet, "export.sheet", ".png"),
	}
}

// fileName proposes a name for a run's files.
func fileName(e library.Entry) string {
	if e.Video != "" {
		base := filepath.Base(e.Video)
		return base[:len(base)-len(filepath.Ext(base))]
	}
	return string(e.ID)
}

// ask has the system do something, in the background, and says what went wrong.
func (w *Window) ask(f func() error) {
	go func() {
		if err := f(); err != nil {
			fyne.Do(func() { w.fail(err) })
		}
	}()
}

// setPicture changes a picture if it is another.
func setPicture(o fyne.CanvasObject, img image.Image) {
	if c := o.(*canvas.Image); c.Image != img {
		c.Image = img
		c.Refresh()
	}
}
