package ui

import (
	"maps"
	"slices"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/dialog"
	"fyne.io/fyne/v2/widget"
)

// open shows a dialog that Escape dismisses.
func (w *Window) open(d dialog.Dialog) {
	d.Show()
	overlays := w.window.Canvas().Overlays()
	maps.DeleteFunc(w.dismiss, func(o fyne.CanvasObject, _ func()) bool { return !slices.Contains(overlays.List(), o) })
	w.dismiss[overlays.Top()] = d.Dismiss
}

// covered reports whether a dialog or a list is in front of the page.
func (w *Window) covered() bool { return w.window.Canvas().Overlays().Top() != nil }

// escape closes what is in front: a dialog, a list, the full screen.
func (w *Window) escape() {
	switch top := w.window.Canvas().Overlays().Top(); {
	case top == nil && w.full:
		w.toggleFull()
	case top == nil:
	case w.dismiss[top] != nil:
		w.dismiss[top]()
	default:
		top.Hide()
	}
}

// escapable is an entry in which Escape does something.
type escapable struct {
	widget.Entry
	escape func()
}

func newEscapable(escape func()) *escapable {
	e := &escapable{escape: escape}
	e.ExtendBaseWidget(e)
	return e
}

// TypedKey implements fyne.Focusable.
func (e *escapable) TypedKey(key *fyne.KeyEvent) {
	if key.Name == fyne.KeyEscape {
		e.escape()
		return
	}
	e.Entry.TypedKey(key)
}
