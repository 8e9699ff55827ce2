package ui

import (
	"slices"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/dialog"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"gimbal/ui/desktop"
	"gimbal/ui/look"
	"gimbal/ui/part"
)

var (
	appearances = []string{look.System, look.Light, look.Dark}
	languages   = []string{"", "en", "zh"}
)

// settingsButton opens the settings.
func (w *Window) settingsButton() fyne.CanvasObject {
	b := part.IconButton(theme.SettingsIcon(), w.showSettings)
	w.names["settings"] = b
	return b
}

// showSettings shows what is kept between sessions and is no input of a run.
func (w *Window) showSettings() {
	const width, label = 460, 110
	form := part.Form{Width: width, Label: label}
	s := w.now.Settings
	appearance := part.NewSegmented([]string{tr("appearance.system"), tr("appearance.light"), tr("appearance.dark")},
		func(i int) { w.studio.SetAppearance(appearances[i]) })
	appearance.SetSelected(slices.Index(appearances, s.Appearance))
	language := part.NewSegmented([]string{tr("language.system"), "English", "简体中文"}, func(i int) { w.studio.SetLanguage(languages[i]) })
	language.SetSelected(slices.Index(languages, s.Language))

	var d *dialog.CustomDialog
	output := part.NewText(s.OutputDir)
	model := part.NewText(tr("model.demo"))
	if s.ModelFolder != "" {
		model.SetText(s.ModelFolder)
	}
	choose := func(act func()) *widget.Button { return widget.NewButton(tr("choose"), func() { d.Hide(); act() }) }
	modelRow := part.Line(6, part.Spread(model), choose(w.chooseModel))
	if s.ModelFolder != "" {
		modelRow.Add(widget.NewButton(tr("model.forget"), func() { d.Hide(); w.studio.SetModelFolder("") }))
	}
	server := newServerSettings(w, form)
	content := part.Column(12,
		form.Row(tr("settings.appearance"), appearance, nil),
		form.Row(tr("settings.language"), language, nil),
		part.Inset(-6, 0, label, 0, part.NewNote(tr("settings.language_hint"), width-label)),
		form.Row(tr("settings.output"), part.Line(6, part.Spread(output), choose(w.chooseOutput)), nil),
		form.Row(tr("model"), modelRow, nil),
		w.deviceRow(form, width-label),
		part.Rule(),
		server.view,
		part.Gap(0, 4),
	)
	d = dialog.NewCustomWithoutButtons(tr("settings"), part.Sized(width, 0, content), w.window)
	closing := widget.NewButton(tr("close"), func() { d.Hide() })
	d.SetButtons([]fyne.CanvasObject{closing})
	w.settings, w.names["settings.close"] = server, closing
	d.SetOnClosed(func() { w.settings = nil })
	w.open(d)
}

// chooseOutput asks for the folder of the videos.
func (w *Window) chooseOutput() {
	w.pick(desktop.Panel{Kind: desktop.PickFolder, Title: tr("settings.output_title"), Folder: w.now.Settings.OutputDir}, w.studio.SetOutputDir)
}

// deviceRow names the device and, where kernels failed on it when they were checked, says so.
func (w *Window) deviceRow(form part.Form, width float32) fyne.CanvasObject {
	d := w.now.Device
	row := form.Row(tr("settings.device"), part.NewText(d.Name), nil)
	if len(d.SwitchedOff) == 0 {
		return row
	}
	note := part.NewNote(tr("settings.switched_off", map[string]any{"Kernels": strings.Join(d.SwitchedOff, "; ")}), width)
	w.names["settings.switched_off"] = note
	return part.Column(6, row, part.Inset(0, 0, form.Label, 0, note))
}
