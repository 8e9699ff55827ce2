package ui

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"gimbal/ui/part"
	"gimbal/ui/studio"
)

// undoButtons take changes of the form back.
type undoButtons struct {
	undo, redo *widget.Button
	view       fyne.CanvasObject
}

func newUndoButtons(w *Window) *undoButtons {
	b := &undoButtons{undo: part.IconButton(theme.ContentUndoIcon(), w.undo), redo: part.IconButton(theme.ContentRedoIcon(), w.redo)}
	b.view = part.Line(0, b.undo, b.redo)
	w.names["undo"], w.names["redo"] = b.undo, b.redo
	return b
}

func (b *undoButtons) show(s studio.Snapshot) {
	for button, on := range map[*widget.Button]bool{b.undo: s.Form.CanUndo, b.redo: s.Form.CanRedo} {
		setEnabled(button, on)
	}
}

// undo takes back what was changed last where the user works: in the editor of the path, or in
// the form.
func (w *Window) undo() { w.takeBack(w.studio.Undo, func() { w.editor.Undo() }) }

func (w *Window) redo() { w.takeBack(w.studio.Redo, func() { w.editor.Redo() }) }

func (w *Window) takeBack(form, path func()) {
	switch {
	case !w.create.Visible() || w.window.Canvas().Overlays().Top() != nil:
	case w.editor != nil:
		path()
	default:
		form()
	}
}
