package ui

import (
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/dialog"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"gimbal/inference/engine"
	"gimbal/ui/desktop"
	"gimbal/ui/look"
	"gimbal/ui/part"
	"gimbal/ui/studio"
)

// modelCard says at the top of the form which model runs.
type modelCard struct {
	name   *part.Text
	about  *part.Text
	back   *part.Backdrop
	view   fyne.CanvasObject
	choose *widget.Button
}

func newModelCard(w *Window, f *form) *modelCard {
	m := &modelCard{name: part.NewTitle(""), about: part.NewNote("", columnWidth-24), back: part.Background(look.ColorSunken, "", 9)}
	m.choose = widget.NewButton(tr("model.choose"), w.chooseModel)
	details := widget.NewButton(tr("details"), w.showModel)
	details.Importance = widget.LowImportance
	card := part.Column(6, m.name, m.about, part.Line(6, m.choose, details), f.hint(studio.FieldModel, columnWidth-24))
	m.view = container.NewStack(m.back, part.Inset(11, 11, 12, 12, card))
	w.names["model.choose"], w.names["model.details"] = m.choose, details
	return m
}

func (m *modelCard) show(s studio.Snapshot) {
	name, about, fill := shortPath(s.Model.Folder), "", look.ColorSunken
	switch {
	case s.Model.Demo:
		name, about, fill = tr("model.demo"), tr("model.demo_about"), look.ColorTint
	case s.Model.Checking:
		about = tr("model.checking")
	case s.Model.Whole:
		about = modelSummary(s.Model)
	case s.Model.Missing || s.Model.Details != "":
		about = join(tr("model.unusable"), lacking(s.Model.Parts))
	}
	m.name.SetText(name)
	m.about.SetText(about)
	m.back.SetColors(fill, "")
	setVisible(m.about, about != "")
}

// lacking names the parts of a model that are missing or damaged.
func lacking(parts []engine.Part) string {
	var missing, damaged []string
	for _, p := range parts {
		switch name := translated("part."+p.Name, p.Name, nil); {
		case p.Err != nil && p.Path == "":
			missing = append(missing, name)
		case p.Err != nil:
			damaged = append(damaged, name)
		}
	}
	text := ""
	if len(missing) > 0 {
		text = tr("model.missing", map[string]any{"Parts": strings.Join(missing, ", ")})
	}
	if len(damaged) > 0 {
		text = join(text, tr("model.damaged", map[string]any{"Parts": strings.Join(damaged, ", ")}))
	}
	return text
}

func modelSummary(m studio.Model) string {
	var size int64
	for _, p := range m.Parts {
		size += p.Bytes
	}
	follows := tr("model.no_camera")
	if m.HasCamera {
		follows = tr("model.camera")
	}
	return join(bytesText(size), follows)
}

// chooseModel asks for the model folder.
func (w *Window) chooseModel() {
	w.pick(desktop.Panel{Kind: desktop.PickFolder, Title: tr("model.choose_title")}, w.studio.SetModelFolder)
}

// showModel shows what is in the model folder and what is missing.
func (w *Window) showModel() {
	s := w.now
	rows := part.Column(7)
	folder := s.Model.Folder
	if s.Model.Demo {
		folder = tr("model.demo")
	}
	rows.Add(part.NewCaption(folder))
	for _, p := range s.Model.Parts {
		rows.Add(partRow(p))
	}
	var cached []string
	for _, q := range s.Model.Cached {
		cached = append(cached, strings.ToUpper(q.String()))
	}
	if len(cached) > 0 {
		rows.Add(part.NewCaption(tr("model.cached", map[string]any{"Kinds": strings.Join(cached, ", ")})))
	}
	if s.Model.Details != "" {
		rows.Add(widget.NewButton(tr("copy_details"), func() { w.app.Clipboard().SetContent(s.Model.Details) }))
	}
	var d *dialog.CustomDialog
	choose := primary(widget.NewButton(tr("model.choose"), func() { d.Hide(); w.chooseModel() }))
	buttons := []fyne.CanvasObject{widget.NewButton(tr("close"), func() { d.Hide() })}
	switch {
	case s.Model.Folder != "" && s.Model.Demo:
		buttons = append(buttons, widget.NewButton(tr("model.leave_demo"), func() { d.Hide(); w.studio.SetDemo(false) }))
	case s.Model.Folder != "":
		buttons = append(buttons, widget.NewButton(tr("model.use_demo"), func() { d.Hide(); w.studio.SetDemo(true) }))
	}
	d = dialog.NewCustomWithoutButtons(tr("model"), part.Sized(460, 0, rows), w.window)
	d.SetButtons(append(buttons, choose))
	d.Show()
}

// partRow is one part of the model: there, damaged or missing.
func partRow(p engine.Part) fyne.CanvasObject {
	icon, text, color := fyne.Resource(theme.NewSuccessThemedResource(theme.ConfirmIcon())), bytesText(p.Bytes), look.ColorSecondary
	if p.Err != nil {
		icon, text, color = theme.NewErrorThemedResource(theme.ErrorIcon()), p.Err.Error(), theme.ColorNameError
	}
	name := translated("part."+p.Name, p.Name, nil)
	if p.Err == nil {
		return part.Line(8, part.Sized(16, 16, widget.NewIcon(icon)), part.Spread(part.NewText(name)), part.NewCaption(text))
	}
	return part.Column(2, part.Line(8, part.Sized(16, 16, widget.NewIcon(icon)), part.Spread(part.NewText(name))),
		part.Inset(0, 0, 24, 0, part.NewNote(text, 430).Colored(color)))
}
