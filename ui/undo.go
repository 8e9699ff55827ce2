package ui

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"gimbal/ui/part"
	"gimbal/ui/studio"
)

// undoButtons take changes of the form back, where that is seen.
type undoButtons struct {
	w          *Window
	undo, redo *widget.Button
	view       fyne.CanvasObject
}

func newUndoButtons(w *Window) *undoButtons {
	b := &undoButtons{w: w, undo: part.IconButton(theme.ContentUndoIcon(), w.undo), redo: part.IconButton(theme.ContentRedoIcon(), w.redo)}
	b.view = part.Line(0, b.undo, b.redo)
	w.names["undo"], w.names["redo"] = b.undo, b.redo
	return b
}

func (b *undoButtons) show(s studio.Snapshot) {
	form := b.w.page == pageCreate && !b.w.editorPage.Visible() // which has buttons of its own
	for button, on := range map[*widget.Button]bool{b.undo: s.Form.CanUndo, b.redo: s.Form.CanRedo} {
		setEnabled(button, form && on)
	}
}

// undo takes back what was changed last where the user works: in the editor of the path, in
// the form or, where neither is in front, in an entry.
func (w *Window) undo() {
	w.takeBack(w.studio.Undo, func() { w.editor.Undo() }, &fyne.ShortcutUndo{})
}

func (w *Window) redo() {
	w.takeBack(w.studio.Redo, func() { w.editor.Redo() }, &fyne.ShortcutRedo{})
}

func (w *Window) takeBack(form, path func(), text fyne.Shortcut) {
	switch {
	case w.page != pageCreate || w.covered():
		if entry, ok := w.window.Canvas().Focused().(fyne.Shortcutable); ok {
			entry.TypedShortcut(text)
		}
	case w.editorPage.Visible():
		path()
	default:
		form()
	}
}
