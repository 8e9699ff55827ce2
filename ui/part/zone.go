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

// Zone is where a picture is dropped, or chosen by a tap. It shows an invitation
// while it is empty and then the picture, whole.
type Zone struct {
	widget.BaseWidget
	title, hint string
	height      float32
	image       image.Image
	hovered     bool
	onTapped    func()
}

var _ interface {
	fyne.Tappable
	desktop.Hoverable
} = (*Zone)(nil)

// NewZone returns an empty zone.
func NewZone(title, hint string, height float32, tapped func()) *Zone {
	z := &Zone{title: title, hint: hint, height: height, onTapped: tapped}
	z.ExtendBaseWidget(z)
	return z
}

// SetImage shows a picture, nil for none.
func (z *Zone) SetImage(img image.Image) {
	if z.image != img {
		z.image = img
		z.Refresh()
	}
}

// Image returns the picture that is shown.
func (z *Zone) Image() image.Image { return z.image }

// Tapped implements fyne.Tappable.
func (z *Zone) Tapped(*fyne.PointEvent) { z.onTapped() }

// MouseIn implements desktop.Hoverable.
func (z *Zone) MouseIn(*desktop.MouseEvent) { z.hovered = true; z.Refresh() }

// MouseMoved implements desktop.Hoverable.
func (z *Zone) MouseMoved(*desktop.MouseEvent) {}

// MouseOut implements desktop.Hoverable.
func (z *Zone) MouseOut() { z.hovered = false; z.Refresh() }

// CreateRenderer implements fyne.Widget.
func (z *Zone) CreateRenderer() fyne.WidgetRenderer {
	r := &zoneRenderer{
		zone: z, ground: Background(look.ColorSunken, "", 10), picture: Picture(nil, 10),
		icon:  widget.NewIcon(look.IconPicture),
		title: NewText(z.title).Aligned(fyne.TextAlignCenter),
		hint:  NewCaption(z.hint).Aligned(fyne.TextAlignCenter),
	}
	r.picture.FillMode = canvas.ImageFillContain
	r.dashes = canvas.NewRaster(r.drawDashes)
	r.Refresh()
	return r
}

type zoneRenderer struct {
	zone        *Zone
	ground      *Backdrop
	dashes      *canvas.Raster
	picture     *canvas.Image
	icon        *widget.Icon
	title, hint *Text
}

func (r *zoneRenderer) Destroy()           {}
func (r *zoneRenderer) MinSize() fyne.Size { return fyne.NewSize(120, r.zone.height) }

func (r *zoneRenderer) Objects() []fyne.CanvasObject {
	return []fyne.CanvasObject{r.ground, r.dashes, r.icon, r.title, r.hint, r.picture}
}

func (r *zoneRenderer) Layout(size fyne.Size) {
	r.ground.Resize(size)
	r.dashes.Resize(size)
	r.picture.Resize(size)
	y := (size.Height - 72) / 2
	r.icon.Resize(fyne.NewSquareSize(30))
	r.icon.Move(fyne.NewPos((size.Width-30)/2, y))
	r.title.Resize(fyne.NewSize(size.Width, 18))
	r.title.Move(fyne.NewPos(0, y+36))
	r.hint.Resize(fyne.NewSize(size.Width, 16))
	r.hint.Move(fyne.NewPos(0, y+56))
}

func (r *zoneRenderer) Refresh() {
	empty := r.zone.image == nil
	for _, o := range []fyne.CanvasObject{r.dashes, r.icon, r.title, r.hint} {
		if empty {
			o.Show()
		} else {
			o.Hide()
		}
	}
	fill := look.ColorSunken
	if r.zone.hovered && empty {
		fill = look.ColorTint
	}
	r.ground.SetColors(fill, "")
	r.ground.Refresh()
	if r.picture.Image != r.zone.image {
		r.picture.Image = r.zone.image
		r.picture.Refresh()
	}
	r.picture.Hidden = empty
	r.dashes.Refresh()
	r.Layout(r.zone.Size())
}

func (r *zoneRenderer) drawDashes(w, h int) image.Image {
	size := r.zone.Size()
	scale := float32(1)
	if size.Width > 0 {
		scale = float32(w) / size.Width
	}
	return dashedFrame(w, h, scale, r.zone.Theme().Color(theme.ColorNamePlaceHolder, variant()))
}
