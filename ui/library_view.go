package ui

import (
	"image"
	"slices"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"gimbal/inference/library"
	"gimbal/ui/look"
	"gimbal/ui/part"
	"gimbal/ui/studio"
)

// libraryView is the page of all runs: a grid and, at its right, the chosen one.
type libraryView struct {
	w       *Window
	search  *widget.Entry
	count   *part.Text
	grid    *widget.GridWrap
	empty   *part.Text
	entries []library.Entry
	thumbs  map[thumbKey]image.Image
	chosen  library.ID
	detail  *libraryDetail
	view    fyne.CanvasObject
}

// thumbKey names a thumbnail: a run has another one once it is done.
type thumbKey struct {
	id    library.ID
	state library.State
}

// maxThumbs is how many thumbnails are kept in memory.
const maxThumbs = 400

func newLibraryView(w *Window) *libraryView {
	l := &libraryView{w: w, count: part.NewCaption(""), thumbs: map[thumbKey]image.Image{}}
	l.search = widget.NewEntry()
	l.search.SetPlaceHolder(tr("library.search"))
	l.search.SetIcon(theme.SearchIcon())
	l.search.OnChanged = w.studio.Search
	l.empty = part.NewText("").Colored(look.ColorSecondary).Aligned(fyne.TextAlignCenter)
	l.grid = widget.NewGridWrap(func() int { return len(l.entries) }, func() fyne.CanvasObject { return newLibraryCell() }, l.fill)
	l.grid.OnSelected = func(i widget.GridWrapItemID) { l.choose(i) }
	l.detail = newLibraryDetail(w)
	head := part.Line(12, part.NewText(tr("page.library")).Sized(theme.SizeNameSubHeadingText).Bold(),
		part.Spread(l.count), part.Sized(240, 0, l.search))
	main := part.Dock(part.Inset(0, 12, 0, 0, head), nil, nil, nil, container.NewStack(l.empty, part.Inset(0, 0, -8, 0, l.grid)))
	aside := part.Dock(nil, nil, part.Rule(), nil,
		container.NewStack(part.Background(look.ColorSidebar, "", 0), l.detail.view))
	l.view = part.Dock(nil, nil, nil, part.Sized(detailWidth, 0, aside), part.Inset(16, 8, 20, 20, w.notices.above(pageLibrary, main)))
	w.names["library.search"], w.names["library.grid"] = l.search, l.grid
	return l
}

// libraryCell is one run in the grid.
type libraryCell struct {
	widget.BaseWidget
	picture *fyne.Container
	image   fyne.CanvasObject
	title   *part.Text
	when    *part.Text
	badge   *part.Badge
}

const cellWidth, cellHeight = 196, 164

func newLibraryCell() *libraryCell {
	c := &libraryCell{title: part.NewText("").Cut(), when: part.NewCaption("").Cut(), badge: part.NewBadge()}
	c.image = part.Picture(nil, 8)
	c.ExtendBaseWidget(c)
	return c
}

// CreateRenderer implements fyne.Widget.
func (c *libraryCell) CreateRenderer() fyne.WidgetRenderer {
	corner := container.NewVBox(container.NewHBox(c.badge))
	c.picture = part.Sized(cellWidth-16, 108, container.NewStack(part.Background(look.ColorSunken, "", 8), c.image, part.Inset(6, 0, 6, 6, corner)))
	return widget.NewSimpleRenderer(part.Inset(7, 7, 8, 8, part.Column(4, c.picture, part.Column(1, c.title, c.when))))
}

func (l *libraryView) fill(i widget.GridWrapItemID, o fyne.CanvasObject) {
	if i >= len(l.entries) {
		return
	}
	e, c := l.entries[i], o.(*libraryCell)
	c.title.SetText(e.Title())
	c.when.SetText(join(e.Created.Local().Format("2006-01-02 15:04"), sizeText(e)))
	setState(c.badge, e.State)
	setPicture(c.image, l.thumbnail(e))
}

// thumbnail returns a run's thumbnail, from memory if it was shown before.
func (l *libraryView) thumbnail(e library.Entry) image.Image {
	key := thumbKey{e.ID, e.State}
	if img, ok := l.thumbs[key]; ok {
		return img
	}
	if len(l.thumbs) >= maxThumbs {
		clear(l.thumbs)
	}
	img := l.w.studio.Thumbnail(e.ID)
	l.thumbs[key] = img
	return img
}

// show takes over the list; the grid is filled anew only when an entry changed.
func (l *libraryView) show(s studio.Snapshot) {
	if !slices.EqualFunc(l.entries, s.Library.Entries, sameEntry) {
		l.entries = s.Library.Entries
		if l.view.Visible() {
			l.grid.Refresh()
		}
	}
	l.count.SetText(tr("library.count", map[string]any{"N": s.Library.Total}))
	empty := ""
	switch {
	case s.Library.Total == 0:
		empty = tr("library.empty")
	case len(s.Library.Entries) == 0:
		empty = tr("library.nothing", map[string]any{"Query": s.Library.Query})
	}
	l.empty.SetText(empty)
	setVisible(l.empty, empty != "")
	l.showChosen(s)
}

func (l *libraryView) showChosen(s studio.Snapshot) {
	i := slices.IndexFunc(s.Library.Entries, func(e library.Entry) bool { return e.ID == l.chosen })
	if i < 0 {
		l.detail.clear()
		return
	}
	l.detail.show(s.Library.Entries[i], l.thumbnail(s.Library.Entries[i]), s.Exports)
}

// choose shows a run at the right.
func (l *libraryView) choose(i int) {
	if i < len(l.entries) {
		l.chosen = l.entries[i].ID
		l.showChosen(l.w.now)
	}
}

// enter prepares the page to be looked at.
func (l *libraryView) enter() {
	l.grid.Refresh()
	if l.chosen == "" && len(l.entries) > 0 {
		l.grid.Select(0)
	}
}

func sameEntry(a, b library.Entry) bool {
	return a.ID == b.ID && a.State == b.State && a.Steps == b.Steps && a.Video == b.Video && a.Error == b.Error
}
