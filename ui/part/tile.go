package part

import (
	"image"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"gimbal/ui/look"
)

// Tile is a small picture that can be tapped and chosen, with a caption below it.
type Tile struct {
	widget.BaseWidget
	caption  string
	face     fyne.CanvasObject // drawn on the tile; a picture or an icon
	size     fyne.Size         // of the face
	selected bool
	hovered  bool
	onTapped func()
}

var _ interface {
	fyne.Tappable
	desktop.Hoverable
} = (*Tile)(nil)

// NewTile returns a tile with a face of the given size; caption may be empty.
func NewTile(face fyne.CanvasObject, size fyne.Size, caption string, tapped func()) *Tile {
	t := &Tile{face: face, size: size, caption: caption, onTapped: tapped}
	t.ExtendBaseWidget(t)
	return t
}

// Picture returns a picture with round corners that fills its room, to be a tile's
// face; img may be nil.
func Picture(img image.Image, radius float32) *canvas.Image {
	c := canvas.NewImageFromImage(img)
	c.FillMode = canvas.ImageFillCover
	c.CornerRadius = radius
	c.ScaleMode = canvas.ImageScaleSmooth
	return c
}

// SetSelected says whether the tile is the chosen one.
func (t *Tile) SetSelected(on bool) {
	if t.selected != on {
		t.selected = on
		t.Refresh()
	}
}

// Selected reports whether the tile is the chosen one.
func (t *Tile) Selected() bool { return t.selected }

// Tapped implements fyne.Tappable.
func (t *Tile) Tapped(*fyne.PointEvent) {
	if t.onTapped != nil {
		t.onTapped()
	}
}

// MouseIn implements desktop.Hoverable.
func (t *Tile) MouseIn(*desktop.MouseEvent) { t.hovered = true; t.Refresh() }

// MouseMoved implements desktop.Hoverable.
func (t *Tile) MouseMoved(*desktop.MouseEvent) {}

// MouseOut implements desktop.Hoverable.
func (t *Tile) MouseOut() { t.hovered = false; t.Refresh() }

// CreateRenderer implements fyne.Widget.
func (t *Tile) CreateRenderer() fyne.WidgetRenderer {
	r := &tileRenderer{
		tile: t, ground: Background(look.ColorSunken, "", 7), ring: canvas.NewRectangle(transparent),
		caption: NewCaption(t.caption).Aligned(fyne.TextAlignCenter),
	}
	r.objects = []fyne.CanvasObject{r.ground, t.face, r.ring, r.caption}
	r.Refresh()
	return r
}

type tileRenderer struct {
	tile    *Tile
	ground  *Backdrop
	ring    *canvas.Rectangle
	caption *Text
	objects []fyne.CanvasObject
}

func (r *tileRenderer) Destroy()                     {}
func (r *tileRenderer) Objects() []fyne.CanvasObject { return r.objects }

func (r *tileRenderer) MinSize() fyne.Size {
	size := r.tile.size
	if r.tile.caption != "" {
		size.Height += r.caption.MinSize().Height + 3
	}
	return size
}

func (r *tileRenderer) Layout(size fyne.Size) {
	face := size
	if r.tile.caption != "" {
		line := r.caption.MinSize().Height
		face.Height -= line + 3
		r.caption.Move(fyne.NewPos(0, face.Height+3))
		r.caption.Resize(fyne.NewSize(size.Width, line))
	}
	for _, o := range []fyne.CanvasObject{r.ground, r.tile.face, r.ring} {
		o.Resize(face)
	}
}

func (r *tileRenderer) Refresh() {
	th := r.tile.Theme()
	r.ring.CornerRadius = 7
	r.ring.StrokeWidth = 0
	ink := look.ColorSecondary
	switch {
	case r.tile.selected:
		r.ring.StrokeWidth, r.ring.StrokeColor = 2, th.Color(theme.ColorNamePrimary, variant())
		ink = theme.ColorNameForeground
	case r.tile.hovered:
		r.ring.StrokeWidth, r.ring.StrokeColor = 1, th.Color(theme.ColorNamePlaceHolder, variant())
	}
	r.ring.FillColor = transparent
	r.caption.SetColor(ink)
	r.caption.SetText(r.tile.caption)
	r.ground.Refresh()
	r.ring.Refresh()
	r.tile.face.Refresh()
}
