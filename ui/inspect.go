package ui

import (
	"image"

	"fyne.io/fyne/v2"
)

// names are the window's parts that tests point at, by names that do not change with
// the language.
type names map[string]fyne.CanvasObject

// Rectangles returns where the named parts of the window are that can be seen, in
// pixels from the corner of its content. It is for tests that drive a real window, and
// to be called in Fyne's goroutine.
func Rectangles(w *Window) map[string]image.Rectangle {
	found := map[string]image.Rectangle{}
	driver, canvas := w.app.Driver(), w.window.Canvas()
	whole := canvas.Size()
	for name, o := range w.names {
		if !o.Visible() || driver.CanvasForObject(o) != canvas {
			continue
		}
		at, size := driver.AbsolutePositionForObject(o), o.Size()
		if size.IsZero() || at.X+size.Width < 0 || at.Y+size.Height < 0 || at.X > whole.Width || at.Y > whole.Height || w.behind(o) {
			continue
		}
		scale := canvas.Scale()
		found[name] = image.Rect(int(at.X*scale), int(at.Y*scale), int((at.X+size.Width)*scale), int((at.Y+size.Height)*scale))
	}
	return found
}

// behind reports whether a part belongs to a page or a dialog that is not shown.
func (w *Window) behind(o fyne.CanvasObject) bool {
	canvas := w.window.Canvas()
	for _, root := range append([]fyne.CanvasObject{canvas.Content()}, canvas.Overlays().List()...) {
		if contains(root, o) {
			return false
		}
	}
	return true
}

// contains reports whether o can be seen in root.
func contains(root, o fyne.CanvasObject) bool {
	if root == o {
		return root.Visible()
	}
	if root == nil || !root.Visible() {
		return false
	}
	for _, child := range children(root) {
		if contains(child, o) {
			return true
		}
	}
	return false
}
