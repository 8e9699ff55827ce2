package ui

import (
	"image"
	"math"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/widget"

	"gimbal/ui/look"
	"gimbal/ui/part"
)

// liveScreen shows the world. Dragging it turns the view, and a tap gives it the keys.
type liveScreen struct {
	widget.BaseWidget
	w       *Window
	image   image.Image
	picture *canvas.Image
}

var _ interface {
	fyne.Tappable
	fyne.Draggable
	desktop.Cursorable
} = (*liveScreen)(nil)

func newLiveScreen(w *Window) *liveScreen {
	s := &liveScreen{w: w, picture: canvas.NewImageFromImage(nil)}
	s.picture.FillMode = canvas.ImageFillContain
	s.picture.ScaleMode = canvas.ImageScaleSmooth
	s.ExtendBaseWidget(s)
	return s
}

// CreateRenderer implements fyne.Widget.
func (s *liveScreen) CreateRenderer() fyne.WidgetRenderer {
	return widget.NewSimpleRenderer(container.NewStack(part.Background(look.ColorStage, "", 12), s.picture))
}

func (s *liveScreen) setImage(img image.Image) {
	if img == s.image {
		return
	}
	s.image, s.picture.Image = img, img
	s.picture.Refresh()
}

// dragView is how far the view turns when it is dragged over its whole width: what it shows.
const dragView = 80 * math.Pi / 180

// Dragged implements fyne.Draggable.
func (s *liveScreen) Dragged(e *fyne.DragEvent) {
	scale := dragView / float64(max(1, s.Size().Width))
	s.w.studio.DragWalk(float64(e.Dragged.DX)*scale, -float64(e.Dragged.DY)*scale)
}

// DragEnd implements fyne.Draggable.
func (s *liveScreen) DragEnd() {}

// Tapped implements fyne.Tappable.
func (s *liveScreen) Tapped(*fyne.PointEvent) { s.w.window.Canvas().Unfocus() }

// Cursor implements desktop.Cursorable.
func (s *liveScreen) Cursor() desktop.Cursor { return desktop.CrosshairCursor }
