package ui

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"gimbal/ui/look"
	"gimbal/ui/part"
	"gimbal/ui/studio"
)

// maxNotices are shown at once; the others come when these are dismissed.
const maxNotices = 2

// notices are the messages that belong to no field, above the stage.
type notices struct {
	w     *Window
	shown []uint64
	list  *fyne.Container
	view  fyne.CanvasObject
}

func newNotices(w *Window) *notices {
	n := &notices{w: w, list: part.Column(6)}
	n.view = part.Inset(0, 12, 0, 0, n.list)
	n.view.Hide()
	return n
}

func (n *notices) show(s studio.Snapshot) {
	now := s.Notices[max(0, len(s.Notices)-maxNotices):]
	same := len(now) == len(n.shown)
	for i := range now {
		same = same && now[i].ID == n.shown[i]
	}
	if same {
		return
	}
	n.shown = n.shown[:0]
	n.list.RemoveAll()
	for _, notice := range now {
		n.shown = append(n.shown, notice.ID)
		n.list.Add(n.banner(notice))
	}
	setVisible(n.view, len(now) > 0)
	n.w.stagePage.Refresh()
}

func (n *notices) banner(notice studio.Notice) fyne.CanvasObject {
	icon, fill := theme.InfoIcon(), look.ColorTint
	switch notice.Level {
	case studio.Warning:
		icon, fill = theme.NewWarningThemedResource(theme.WarningIcon()), look.ColorSunken
	case studio.Error:
		icon, fill = theme.NewErrorThemedResource(theme.ErrorIcon()), look.ColorSunken
	}
	text := widget.NewLabel(noticeText(notice))
	text.Wrapping = fyne.TextWrapWord
	row := []fyne.CanvasObject{}
	if notice.Details != "" {
		row = append(row, widget.NewButton(tr("copy_details"), func() {
			n.w.app.Clipboard().SetContent(noticeText(notice) + "\n\n" + notice.Details)
		}))
	}
	dismiss := part.IconButton(theme.CancelIcon(), func() { n.w.studio.Dismiss(notice.ID) })
	n.w.names["notice.dismiss"] = dismiss
	row = append(row, dismiss)
	content := part.Dock(nil, nil, container.NewCenter(part.Sized(18, 18, widget.NewIcon(icon))), part.Line(4, row...), text)
	return container.NewStack(part.Background(fill, "", 8), part.Inset(3, 3, 10, 6, content))
}
