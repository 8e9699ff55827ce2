package ui

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"gimbal/inference/library"
	"gimbal/ui/part"
	"gimbal/ui/studio"
)

// againstInput is the row that keeps the form's settings, to make a video of them beside one of other settings.
type againstInput struct {
	keep   *widget.Button
	forget *widget.Button
	about  *part.Text
	kept   *fyne.Container
	view   fyne.CanvasObject
}

func newAgainstInput(w *Window) *againstInput {
	a := &againstInput{about: part.NewCaption("").Cut()}
	a.keep = widget.NewButton(tr("against.keep"), w.studio.KeepAgainst)
	a.forget = part.IconButton(theme.CancelIcon(), w.studio.ForgetAgainst)
	a.kept = part.Line(6, part.Spread(a.about), a.forget)
	a.view = measures.Row(tr("against"), part.Column(0, a.keep, a.kept), nil)
	w.names["against.keep"], w.names["against.forget"] = a.keep, a.forget
	return a
}

func (a *againstInput) show(f studio.Form) {
	setVisible(a.keep, f.Against == nil)
	setVisible(a.kept, f.Against != nil)
	setEnabled(a.keep, f.CanRun)
	if f.Against == nil {
		return
	}
	kept, now := f.Against.Settings, library.Settings{Job: f.Inputs.Job, Camera: f.Inputs.Camera}
	kept.Job.Seed = now.Job.Seed // both are made with it
	text := differences([]studio.Compared{{Entry: library.Entry{Settings: kept}}, {Entry: library.Entry{Settings: now}}})
	if text == "" {
		text = tr("against.same")
	}
	a.about.SetText(text)
}
