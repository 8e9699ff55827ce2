package ui

import (
	"fmt"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/dialog"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"gimbal/inference"
	"gimbal/inference/library"
	"gimbal/ui/look"
	"gimbal/ui/part"
)

// setState shows a run's state on a badge.
func setState(b *part.Badge, s library.State) {
	fill, ink := look.ColorSunken, look.ColorSecondary
	switch s {
	case library.Done:
		fill, ink = theme.ColorNameOverlayBackground, theme.ColorNameSuccess
	case library.Running:
		fill, ink = theme.ColorNamePrimary, theme.ColorNameForegroundOnPrimary
	case library.Failed:
		fill, ink = theme.ColorNameOverlayBackground, theme.ColorNameError
	case library.Interrupted, library.Cancelled:
		fill, ink = theme.ColorNameOverlayBackground, theme.ColorNameWarning
	}
	b.Set(tr("state."+string(s)), fill, ink)
	setVisible(b, s != library.Done)
}

// sizeText is a run's picture size, "" while it is not known.
func sizeText(e library.Entry) string {
	if e.Width == 0 {
		return ""
	}
	return fmt.Sprintf("%d × %d", e.Width, e.Height)
}

// framesOf is how many frames a run's video has, or shall have.
func framesOf(e library.Entry) int {
	if e.Frames > 0 {
		return e.Frames
	}
	return e.Settings.Job.Frames
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// quantName says how weights are kept, "" for as they are.
func quantName(q inference.Quant) string {
	return map[inference.Quant]string{inference.QuantBF16: "BF16", inference.QuantINT8: "INT8", inference.QuantNF4: "NF4", inference.QuantNF4Double: "NF4"}[q]
}

// showQueue shows the runs that wait, to be taken off the queue.
func (w *Window) showQueue() {
	rows := part.Column(8)
	var d dialog.Dialog
	for _, e := range w.now.Waiting {
		row := part.Line(8, part.Spread(part.Column(1, part.NewText(e.Title()).Cut(), part.NewCaption(runSummary(e)).Cut())))
		row.Add(widget.NewButton(tr("queue.remove"), func() {
			w.studio.Cancel(e.ID)
			d.Hide()
		}))
		rows.Add(row)
	}
	d = dialog.NewCustom(tr("queue"), tr("close"), part.Sized(420, 0, rows), w.window)
	d.Show()
}

// fail shows an error of the system, with its words to copy.
func (w *Window) fail(err error) {
	var d *dialog.CustomDialog
	text := widget.NewLabel(err.Error())
	text.Wrapping = fyne.TextWrapWord
	d = dialog.NewCustomWithoutButtons(tr("failed"), part.Sized(380, 0, container.NewVBox(text)), w.window)
	d.SetButtons([]fyne.CanvasObject{
		widget.NewButton(tr("copy_details"), func() { w.app.Clipboard().SetContent(err.Error()) }),
		primary(widget.NewButton(tr("close"), func() { d.Hide() })),
	})
	d.Show()
}
