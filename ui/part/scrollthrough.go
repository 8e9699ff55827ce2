package part

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/widget"
)

// ScrollThrough gives the mouse wheel anywhere over o to outer: Fyne's entries keep it
// for themselves even when all of their text is in sight.
func ScrollThrough(o fyne.CanvasObject, outer func(*fyne.ScrollEvent)) *fyne.Container {
	w := &wheel{outer: outer}
	w.ExtendBaseWidget(w)
	return container.NewStack(o, w)
}

// wheel takes the mouse wheel and nothing else.
type wheel struct {
	widget.BaseWidget
	outer func(*fyne.ScrollEvent)
}

// Scrolled implements fyne.Scrollable.
func (w *wheel) Scrolled(e *fyne.ScrollEvent) { w.outer(e) }

// CreateRenderer implements fyne.Widget.
func (w *wheel) CreateRenderer() fyne.WidgetRenderer {
	return widget.NewSimpleRenderer(canvas.NewRectangle(transparent))
}

// LineCount returns on how many lines text of the usual size lies in width.
func LineCount(text string, width float32) int {
	t := NewText(text)
	return len(breakLines(text, width, t.Theme().Size(t.size), t.style))
}
