package ui

import (
	"fmt"
	"slices"
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
	"gimbal/ui/studio"
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

// queueList shows the runs that are under way and those that wait, to be watched, cancelled or
// taken off the queue.
type queueList struct {
	w      *Window
	rows   *fyne.Container
	ids    []library.ID
	notes  []*part.Text // of the rows
	dialog dialog.Dialog
}

// showQueue shows the list.
func (w *Window) showQueue() {
	l := &queueList{w: w, rows: part.Column(8)}
	l.dialog = dialog.NewCustom(tr("queue"), tr("close"), part.Sized(420, 0, l.rows), w.window)
	l.dialog.SetOnClosed(func() { w.queue = nil })
	w.queue = l
	l.show(w.now)
	w.open(l.dialog)
}

// show brings the list up to date, and ends with it.
func (l *queueList) show(s studio.Snapshot) {
	var ids []library.ID
	var notes []string
	runs := s.UnderWay()
	for _, r := range runs {
		ids, notes = append(ids, r.Entry.ID), append(notes, join(runHeadline(r), runDetail(r)))
	}
	for _, e := range s.Waiting {
		ids, notes = append(ids, e.ID), append(notes, runSummary(e))
	}
	if len(ids) == 0 {
		l.dialog.Hide()
		return
	}
	if !slices.Equal(ids, l.ids) {
		l.ids, l.notes = ids, nil
		l.rows.RemoveAll()
		for _, r := range runs {
			l.add(r.Entry, tr("cancel"), tr("library.show"))
		}
		for _, e := range s.Waiting {
			l.add(e, tr("queue.remove"), "")
		}
		l.dialog.Refresh()
	}
	for i, note := range notes {
		l.notes[i].SetText(note)
	}
}

// add adds a row for a run, with buttons that end and, unless that has no word, show it.
func (l *queueList) add(e library.Entry, end, show string) {
	note := part.NewCaption("").Cut()
	row := part.Line(8, part.Spread(part.Column(1, part.NewText(e.Title()).Cut(), note)))
	button := func(name, word string, tapped func()) {
		b := widget.NewButton(word, tapped)
		l.w.names[fmt.Sprintf("queue.%s.%d", name, len(l.notes))] = b
		row.Add(b)
	}
	if show != "" {
		button("show", show, func() {
			l.w.studio.Show(e.ID)
			l.dialog.Hide()
		})
	}
	button("end", end, func() { l.w.studio.Cancel(e.ID) })
	l.rows.Add(row)
	l.notes = append(l.notes, note)
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
	w.open(d)
}
