package ui

import (
	"errors"
	"os"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/dialog"
	"fyne.io/fyne/v2/storage"

	"gimbal/ui/desktop"
)

// pick asks for a file or folder with the system's panel, or with Fyne's where there
// is none, and calls chosen in the window's goroutine.
func (w *Window) pick(panel desktop.Panel, chosen func(path string)) {
	go func() {
		path, err := w.options.Desktop.Pick(panel)
		fyne.Do(func() {
			switch {
			case errors.Is(err, errors.ErrUnsupported):
				w.pickHere(panel, chosen)
			case err != nil:
				w.fail(err)
			case path != "":
				chosen(path)
			}
		})
	}()
}

// newPath returns the path of what is to be saved, where Fyne's dialog has made an empty file:
// the studio writes the file itself, or a folder.
func newPath(file fyne.URIWriteCloser) string {
	path := file.URI().Path()
	file.Close()
	os.Remove(path)
	return path
}

// pickHere asks with Fyne's dialogs.
func (w *Window) pickHere(panel desktop.Panel, chosen func(path string)) {
	var d *dialog.FileDialog
	switch panel.Kind {
	case desktop.PickFolder:
		d = dialog.NewFolderOpen(func(dir fyne.ListableURI, err error) {
			if err == nil && dir != nil {
				chosen(dir.Path())
			}
		}, w.window)
	case desktop.SaveFile:
		d = dialog.NewFileSave(func(file fyne.URIWriteCloser, err error) {
			if err == nil && file != nil {
				chosen(newPath(file))
			}
		}, w.window)
		d.SetFileName(panel.Name)
	default:
		d = dialog.NewFileOpen(func(file fyne.URIReadCloser, err error) {
			if err == nil && file != nil {
				path := file.URI().Path()
				file.Close()
				chosen(path)
			}
		}, w.window)
	}
	if len(panel.Extensions) > 0 && panel.Kind == desktop.PickFile {
		dotted := make([]string, len(panel.Extensions))
		for i, e := range panel.Extensions {
			dotted[i] = "." + e
		}
		d.SetFilter(storage.NewExtensionFileFilter(dotted))
	}
	if panel.Folder != "" {
		if dir, err := storage.ListerForURI(storage.NewFileURI(panel.Folder)); err == nil {
			d.SetLocation(dir)
		}
	}
	d.SetTitleText(panel.Title)
	size := w.window.Canvas().Size()
	d.Resize(fyne.NewSize(min(820, size.Width-80), min(560, size.Height-80)))
	w.open(d)
}
