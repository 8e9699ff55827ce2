package part

import (
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/widget"
)

// Backdrop is a rectangle that follows the theme.
type Backdrop struct {
	widget.BaseWidget
	fill, border fyne.ThemeColorName
	radius       float32
	min          fyne.Size
}

// SetColors changes the colours.
func (b *Backdrop) SetColors(fill, border fyne.ThemeColorName) {
	if b.fill != fill || b.border != border {
		b.fill, b.border = fill, border
		b.Refresh()
	}
}

// CreateRenderer implements fyne.Widget.
func (b *Backdrop) CreateRenderer() fyne.WidgetRenderer {
	r := &backdropRenderer{back: b, rect: canvas.NewRectangle(color.Transparent)}
	r.Refresh()
	return r
}

type backdropRenderer struct {
	back *Backdrop
	rect *canvas.Rectangle
}

func (r *backdropRenderer) Destroy()                     {}
func (r *backdropRenderer) Layout(size fyne.Size)        { r.rect.Resize(size) }
func (r *backdropRenderer) MinSize() fyne.Size           { return r.back.min }
func (r *backdropRenderer) Objects() []fyne.CanvasObject { return []fyne.CanvasObject{r.rect} }

func (r *backdropRenderer) Refresh() {
	th := r.back.Theme()
	r.rect.FillColor = color.Transparent
	if r.back.fill != "" {
		r.rect.FillColor = th.Color(r.back.fill, variant())
	}
	r.rect.StrokeWidth = 0
	if r.back.border != "" {
		r.rect.StrokeColor, r.rect.StrokeWidth = th.Color(r.back.border, variant()), 1
	}
	r.rect.CornerRadius = r.back.radius
	r.rect.Refresh()
}
