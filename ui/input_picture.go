package ui

import (
	"errors"
	"fmt"
	"image"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"gimbal/inference/picture"
	"gimbal/ui/desktop"
	"gimbal/ui/part"
	"gimbal/ui/studio"
)

// recents is how many pictures used before are shown.
const recents = 6

// pictureInput is the section of the picture to start from.
type pictureInput struct {
	w       *Window
	zone    *part.Zone
	size    *part.Text
	name    *part.Text
	clear   *widget.Button
	recents *fyne.Container
	shown   [recents]struct {
		path  string
		thumb image.Image
	}
	view fyne.CanvasObject
}

func newPictureInput(w *Window, f *form) *pictureInput {
	p := &pictureInput{w: w, size: part.NewCaption(""), name: part.NewCaption("")}
	p.zone = part.NewZone(tr("picture.drop"), tr("picture.drop_hint"), 168, w.openPicture)
	open := widget.NewButton(tr("open"), w.openPicture)
	paste := widget.NewButton(tr("paste"), w.paste)
	p.clear = part.IconButton(theme.CancelIcon(), func() { w.studio.SetPicture("") })
	p.recents = container.NewGridWithColumns(recents)
	p.recents.Hide()
	p.view = measures.Section(tr("picture"), p.size, p.zone, f.hint(studio.FieldPicture, columnWidth),
		part.Line(6, part.Spread(p.name), p.clear, paste, open), p.recents)
	w.names["picture.zone"], w.names["picture.open"], w.names["picture.paste"] = p.zone, open, paste
	return p
}

func (p *pictureInput) show(s studio.Snapshot) {
	pic := s.Form.Picture
	p.zone.SetImage(pic.Thumb)
	size := ""
	if pic.Width > 0 {
		size = fmt.Sprintf("%d × %d", pic.Width, pic.Height)
	}
	p.size.SetText(size)
	p.name.SetText(shortPath(pic.Path))
	setVisible(p.clear, pic.Path != "")
	p.showRecents(s.Recents)
}

// showRecents rebuilds the row only when a picture or its thumbnail is another.
func (p *pictureInput) showRecents(all []studio.Recent) {
	changed := false
	for i := range p.shown {
		var path string
		var thumb image.Image
		if i < len(all) {
			path, thumb = all[i].Path, all[i].Thumb
		}
		if p.shown[i].path != path || p.shown[i].thumb != thumb {
			p.shown[i].path, p.shown[i].thumb = path, thumb
			changed = true
		}
	}
	if !changed {
		return
	}
	p.recents.RemoveAll()
	for i, r := range p.shown {
		if r.path == "" {
			continue
		}
		face := fyne.CanvasObject(part.Gap(0, 0))
		if r.thumb != nil {
			face = part.Picture(r.thumb, 7)
		}
		tile := part.NewTile(face, fyne.NewSize(46, 34), "", func() { p.w.studio.SetPicture(r.path) })
		p.w.names[fmt.Sprintf("picture.recent.%d", i)] = tile
		p.recents.Add(tile)
	}
	setVisible(p.recents, len(all) > 0)
}

// openPicture asks for a picture.
func (w *Window) openPicture() {
	w.pick(desktop.Panel{Kind: desktop.PickFile, Title: tr("picture.choose"), Filter: tr("pictures"), Extensions: picture.Extensions()},
		func(path string) { w.studio.Drop([]string{path}) })
}

// paste takes a picture from the clipboard, or else paths and file:// addresses.
func (w *Window) paste() {
	go func() {
		data, err := w.options.Desktop.ClipboardPicture()
		fyne.Do(func() { w.pasted(data, err) })
	}()
}

// pasted takes what is on the clipboard: data of a picture, or text.
func (w *Window) pasted(data []byte, err error) {
	switch {
	case err != nil && !errors.Is(err, errors.ErrUnsupported):
		w.fail(err)
	case data != nil:
		w.studio.PastePicture(data)
	default:
		w.pastePaths()
	}
}

func (w *Window) pastePaths() {
	var paths []string
	for line := range strings.Lines(w.app.Clipboard().Content()) {
		if line = strings.Trim(strings.TrimSpace(line), `"'`); line != "" {
			paths = append(paths, line)
		}
	}
	if len(paths) > 0 {
		w.studio.Drop(paths)
	}
}
