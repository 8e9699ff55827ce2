package ui

import (
	"slices"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/dialog"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"gimbal/ui/look"
	"gimbal/ui/part"
	"gimbal/ui/studio"
)

// presetsMenu is the button above the form that shows the presets.
type presetsMenu struct {
	w      *Window
	button *widget.Button
	all    []studio.Preset
}

func newPresetsMenu(w *Window) *presetsMenu {
	p := &presetsMenu{w: w}
	p.button = widget.NewButtonWithIcon(tr("presets"), look.IconDown, p.open)
	p.button.IconPlacement = widget.ButtonIconTrailingText
	w.names["presets"] = p.button
	return p
}

func (p *presetsMenu) show(s studio.Snapshot) {
	p.all = s.Presets
	text := tr("presets")
	if i := slices.IndexFunc(s.Presets, func(q studio.Preset) bool { return q.Current }); i >= 0 {
		text = presetName(s.Presets[i])
	}
	if p.button.Text != text {
		p.button.SetText(text)
	}
}

// presetName is a preset's name in the user's language.
func presetName(p studio.Preset) string {
	if p.Builtin {
		return translated("preset."+p.ID, p.Name, nil)
	}
	return p.Name
}

// presetSummary says what a preset asks for and what that takes here.
func presetSummary(p studio.Preset) string {
	return join(tr("run.frames", map[string]any{"N": p.Values.Frames}), tr("run.steps", map[string]any{"N": p.Values.Steps}), estimateText(p.Estimate))
}

// open shows the presets below the button.
func (p *presetsMenu) open() {
	canvas := p.w.window.Canvas()
	var popup *widget.PopUp
	rows := part.Column(2)
	for _, preset := range p.all {
		row := newPresetRow(preset, func() { popup.Hide(); p.w.studio.UsePreset(preset.ID) })
		p.w.names["preset."+preset.ID] = row
		if preset.Builtin {
			rows.Add(row)
			continue
		}
		rows.Add(part.Dock(nil, nil, nil, part.Line(0,
			part.IconButton(theme.DocumentCreateIcon(), func() { popup.Hide(); p.w.renamePreset(preset) }),
			part.IconButton(theme.DeleteIcon(), func() { popup.Hide(); p.w.deletePreset(preset) }),
		), row))
	}
	walk := widget.NewButtonWithIcon(tr("preset.live"), look.IconFilm, func() { popup.Hide(); p.w.turn(pageLive) })
	walk.Importance, walk.Alignment = widget.LowImportance, widget.ButtonAlignLeading
	p.w.names["preset.live"] = walk
	rows.Add(walk)
	save := widget.NewButtonWithIcon(tr("preset.save"), theme.ContentAddIcon(), func() { popup.Hide(); p.w.savePreset() })
	save.Importance, save.Alignment = widget.LowImportance, widget.ButtonAlignLeading
	p.w.names["preset.save"] = save
	rows.Add(part.Rule())
	rows.Add(save)
	popup = widget.NewPopUp(part.Sized(400, 0, part.Inset(2, 2, 2, 2, rows)), canvas)
	at := p.w.app.Driver().AbsolutePositionForObject(p.button)
	popup.ShowAtPosition(at.AddXY(0, p.button.Size().Height+4))
}

// savePreset asks for a name for the form's values.
func (w *Window) savePreset() {
	w.askName(tr("preset.save_title"), "", w.studio.SavePreset)
}

func (w *Window) renamePreset(p studio.Preset) {
	w.askName(tr("preset.rename_title"), p.Name, func(name string) { w.studio.RenamePreset(p.ID, name) })
}

func (w *Window) deletePreset(p studio.Preset) {
	w.askDelete(tr("preset.delete_title", map[string]any{"Name": p.Name}), tr("preset.delete_text"), func() { w.studio.DeletePreset(p.ID) })
}

// askName asks for a name.
func (w *Window) askName(title, name string, done func(string)) {
	entry := newEscapable(w.escape)
	entry.SetText(name)
	entry.SetPlaceHolder(tr("preset.name"))
	d := dialog.NewCustomConfirm(title, tr("save"), tr("cancel"), part.Sized(320, 0, entry), func(ok bool) {
		if ok {
			done(entry.Text)
		}
	}, w.window)
	entry.OnSubmitted = func(string) { d.Confirm() }
	w.open(d)
	w.names["dialog.name"] = entry
	w.window.Canvas().Focus(entry)
}

// askDelete asks before something goes.
func (w *Window) askDelete(title, text string, yes func()) {
	d := dialog.NewConfirm(title, text, func(ok bool) {
		if ok {
			yes()
		}
	}, w.window)
	d.SetConfirmText(tr("delete"))
	d.SetDismissText(tr("cancel"))
	d.SetConfirmImportance(widget.DangerImportance)
	w.open(d)
}

// newPresetRow is a preset in the list: its name and, below, what it takes.
func newPresetRow(p studio.Preset, tapped func()) fyne.CanvasObject {
	name := part.NewText(presetName(p))
	icon := theme.NewThemedResource(theme.ConfirmIcon())
	mark := widget.NewIcon(icon)
	if !p.Current {
		mark.Hide()
	}
	text := part.Column(1, name.Cut(), part.NewCaption(presetSummary(p)).Cut())
	return part.NewPick(part.Line(8, part.Sized(16, 16, mark), part.Spread(text)), tapped)
}
