package plot

import (
	"image"
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"gimbal/ui/look"
)

// Panel is one view of a path, with a marker. The path is drawn once; only the marker
// moves.
type Panel struct {
	widget.BaseWidget
	side   side
	points []Point
	marker *Point
	margin float64

	current *panelRenderer // nil until it is shown
}

// NewTop returns a view from above: right is right, up is ahead.
func NewTop() *Panel { return newPanel(top, 16) }

// NewSide returns a view from the side: right is ahead, up is up.
func NewSide() *Panel { return newPanel(flat, 16) }

// NewThumb returns a small view from above, without a marker.
func NewThumb(points []Point) *Panel {
	p := newPanel(top, 9)
	p.points = points
	return p
}

func newPanel(s side, margin float64) *Panel {
	p := &Panel{side: s, margin: margin}
	p.ExtendBaseWidget(p)
	return p
}

// SetPath shows a path.
func (p *Panel) SetPath(points []Point) {
	p.points, p.marker = points, nil
	p.Refresh()
}

// SetMarker shows where the camera is, nil for nowhere.
func (p *Panel) SetMarker(at *Point) {
	p.marker = at
	if p.current != nil {
		p.current.placeMarker()
	}
}

// Marker returns where the camera is shown to be.
func (p *Panel) Marker() *Point { return p.marker }

// CreateRenderer implements fyne.Widget.
func (p *Panel) CreateRenderer() fyne.WidgetRenderer {
	r := &panelRenderer{panel: p, dot: canvas.NewCircle(color.Transparent), sight: canvas.NewLine(color.Transparent)}
	r.raster = canvas.NewRaster(r.draw)
	r.sight.StrokeWidth = 2
	p.current = r
	r.colors()
	return r
}

type panelRenderer struct {
	panel  *Panel
	raster *canvas.Raster
	dot    *canvas.Circle
	sight  *canvas.Line
}

func (r *panelRenderer) Destroy()           { r.panel.current = nil }
func (r *panelRenderer) MinSize() fyne.Size { return fyne.NewSize(24, 24) }

func (r *panelRenderer) Objects() []fyne.CanvasObject {
	return []fyne.CanvasObject{r.raster, r.sight, r.dot}
}

func (r *panelRenderer) Layout(size fyne.Size) {
	r.raster.Resize(size)
	r.placeMarker()
}

func (r *panelRenderer) Refresh() {
	r.colors()
	r.raster.Refresh()
	r.placeMarker()
}

func (r *panelRenderer) colors() {
	th, v := r.panel.Theme(), fyne.CurrentApp().Settings().ThemeVariant()
	r.dot.FillColor = th.Color(theme.ColorNamePrimary, v)
	r.dot.StrokeColor, r.dot.StrokeWidth = th.Color(look.ColorRaised, v), 2
	r.sight.StrokeColor = th.Color(theme.ColorNamePrimary, v)
}

func (r *panelRenderer) placeMarker() {
	m := r.panel.marker
	r.dot.Hidden, r.sight.Hidden = m == nil, m == nil
	if m != nil {
		size := r.panel.Size()
		v := fit(r.panel.side, r.panel.points, float64(size.Width), float64(size.Height), r.panel.margin)
		x0, y0, x1, y1 := v.sight(*m)
		from, to := fyne.NewPos(float32(x0), float32(y0)), fyne.NewPos(float32(x1), float32(y1))
		r.sight.Position1, r.sight.Position2 = from, to
		r.dot.Resize(fyne.NewSquareSize(11))
		r.dot.Move(from.SubtractXY(5.5, 5.5))
	}
	canvas.Refresh(r.dot)
	canvas.Refresh(r.sight)
}

func (r *panelRenderer) draw(w, h int) image.Image {
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	size := r.panel.Size()
	if size.Width == 0 || w == 0 {
		return img
	}
	unit := float64(w) / float64(size.Width)
	th, v := r.panel.Theme(), fyne.CurrentApp().Settings().ThemeVariant()
	view := fit(r.panel.side, r.panel.points, float64(w), float64(h), r.panel.margin*unit)
	view.draw(img, unit, inks{
		path:  th.Color(theme.ColorNamePrimary, v),
		sight: th.Color(theme.ColorNamePlaceHolder, v),
		start: th.Color(theme.ColorNameForeground, v),
	})
	return img
}
