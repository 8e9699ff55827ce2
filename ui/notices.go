package ui

import (
	"cmp"
	"slices"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"gimbal/ui/look"
	"gimbal/ui/part"
	"gimbal/ui/studio"
)

// maxNotices are shown at once, until the user asks for all.
const maxNotices = 2

// allNoticesHeight is the room for all of them, which scroll in it.
const allNoticesHeight = 260

// notices are the messages that belong to no field, above what the page shows: what is wrong
// first, and of those the last.
type notices struct {
	w     *Window
	pages [pageLive + 1]noticedPage
	shown []uint64
	all   bool // as the user asked
	count int  // of all
	list  *fyne.Container
	more  *widget.Button
	view  *fyne.Container
}

// noticedPage is a page with a place for the notices.
type noticedPage struct{ place, view *fyne.Container }

func newNotices(w *Window) *notices {
	n := &notices{w: w, list: part.Column(6)}
	n.more = widget.NewButton("", func() {
		n.all = !n.all
		n.show(w.now)
	})
	n.more.Importance = widget.LowImportance
	n.view = part.Inset(0, 12, 0, 0, n.list)
	n.view.Hide()
	w.names["notices.more"] = n.more
	return n
}

// above returns what a page shows with a place for the notices above it.
func (n *notices) above(page int, content fyne.CanvasObject) fyne.CanvasObject {
	place := container.NewStack()
	n.pages[page] = noticedPage{place, part.Dock(place, nil, nil, nil, content)}
	return n.pages[page].view
}

// turn brings the notices to a page.
func (n *notices) turn(page int) {
	for i, p := range n.pages {
		p.place.Objects = nil
		if i == page {
			p.place.Objects = []fyne.CanvasObject{n.view}
		}
		p.view.Refresh()
	}
}

func (n *notices) show(s studio.Snapshot) {
	sorted := byLevel(s.Notices)
	now := sorted
	if n.all = n.all && len(sorted) > maxNotices; !n.all {
		now = sorted[:min(len(sorted), maxNotices)]
	}
	ids := make([]uint64, len(now))
	for i, notice := range now {
		ids[i] = notice.ID
	}
	if slices.Equal(ids, n.shown) && n.count == len(sorted) {
		return
	}
	n.shown, n.count = ids, len(sorted)
	banners := part.Column(6)
	for _, notice := range now {
		banners.Add(n.banner(notice))
	}
	n.list.RemoveAll()
	if n.all {
		scroll := container.NewVScroll(banners)
		n.list.Add(part.Sized(0, min(allNoticesHeight, banners.MinSize().Height), scroll))
	} else {
		n.list.Add(banners)
	}
	if len(sorted) > maxNotices {
		n.more.SetText(tr("notices.fewer"))
		if !n.all {
			n.more.SetText(tr("notices.more", map[string]any{"N": len(sorted) - maxNotices}))
		}
		n.list.Add(container.NewHBox(n.more))
	}
	setVisible(n.view, len(now) > 0)
	n.pages[n.w.page].view.Refresh()
}

// byLevel returns notices in the order in which they matter.
func byLevel(all []studio.Notice) []studio.Notice {
	rank := map[studio.Level]int{studio.Error: 0, studio.Warning: 1, studio.Info: 2}
	return slices.SortedFunc(slices.Values(all), func(a, b studio.Notice) int {
		return cmp.Or(rank[a.Level]-rank[b.Level], cmp.Compare(b.ID, a.ID))
	})
}

func (n *notices) banner(notice studio.Notice) fyne.CanvasObject {
	icon, fill := theme.InfoIcon(), look.ColorTint
	switch notice.Level {
	case studio.Warning:
		icon, fill = theme.NewWarningThemedResource(theme.WarningIcon()), look.ColorSunken
	case studio.Error:
		icon, fill = theme.NewErrorThemedResource(theme.ErrorIcon()), look.ColorSunken
	}
	text := widget.NewLabel(withDetails(noticeText(notice), notice.Details))
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
