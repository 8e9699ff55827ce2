package player

import (
	"image"
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"gimbal/ui/look"
	"gimbal/ui/part"
)

// Screen shows a picture as large as fits, in its own shape. While it compares, the
// first picture lies over the left part of it, up to a bar that the user can drag.
type Screen struct {
	widget.BaseWidget
	// OnTapped is called when the picture is tapped.
	OnTapped func()

	image, first image.Image
	compare      bool
	split        float32 // where the bar is, 0 to 1
	message      string
	words        [2]string
	current      *screenRenderer
}

var _ interface {
	fyne.Tappable
	fyne.Draggable
	desktop.Cursorable
} = (*Screen)(nil)

// NewScreen returns an empty screen; the words name the two pictures of a comparison.
func NewScreen(first, current string) *Screen {
	s := &Screen{split: 0.5, words: [2]string{first, current}}
	s.ExtendBaseWidget(s)
	return s
}

// SetImage shows a picture, nil for none.
func (s *Screen) SetImage(img image.Image) {
	reshaped := s.message != "" || !sameShape(s.image, img)
	s.image, s.message = img, ""
	if s.current == nil {
		return
	}
	s.current.image.Image = img
	if reshaped {
		s.Refresh()
		return
	}
	s.current.image.Refresh()
}

// SetFirst sets the picture to compare with.
func (s *Screen) SetFirst(img image.Image) {
	s.first = img
	if s.current != nil {
		s.current.first.Image = img
		s.current.first.Refresh()
	}
}

// SetImages shows a picture and sets the one to compare with.
func (s *Screen) SetImages(img, first image.Image) {
	s.SetFirst(first)
	s.SetImage(img)
}

// SetMessage shows words in place of the picture.
func (s *Screen) SetMessage(text string) {
	s.message = text
	s.Refresh()
}

// Image returns the picture that is shown.
func (s *Screen) Image() image.Image { return s.image }

// SetCompare starts or ends the comparison.
func (s *Screen) SetCompare(on bool) {
	s.compare, s.split = on, 0.5
	s.Refresh()
}

// Comparing reports whether the comparison is shown.
func (s *Screen) Comparing() bool { return s.compare }

// Split returns where the bar of the comparison is, from 0 to 1.
func (s *Screen) Split() float32 { return s.split }

// Tapped implements fyne.Tappable.
func (s *Screen) Tapped(*fyne.PointEvent) {
	if s.OnTapped != nil && !s.compare {
		s.OnTapped()
	}
}

// Dragged implements fyne.Draggable.
func (s *Screen) Dragged(e *fyne.DragEvent) {
	if !s.compare || s.current == nil {
		return
	}
	at, size := s.current.area(s.Size())
	if size.Width > 0 {
		s.split = min(max((e.Position.X-at.X)/size.Width, 0), 1)
		s.current.Layout(s.Size())
		canvas.Refresh(s)
	}
}

// DragEnd implements fyne.Draggable.
func (s *Screen) DragEnd() {}

// Cursor implements desktop.Cursorable.
func (s *Screen) Cursor() desktop.Cursor {
	if s.compare {
		return desktop.HResizeCursor
	}
	return desktop.DefaultCursor
}

func sameShape(a, b image.Image) bool {
	return a != nil && b != nil && a.Bounds().Size() == b.Bounds().Size()
}

// CreateRenderer implements fyne.Widget.
func (s *Screen) CreateRenderer() fyne.WidgetRenderer {
	r := &screenRenderer{screen: s, image: part.Picture(s.image, 0), first: part.Picture(s.first, 0), bar: canvas.NewRectangle(color.Transparent)}
	r.image.FillMode, r.first.FillMode = canvas.ImageFillStretch, canvas.ImageFillStretch
	r.over = container.NewWithoutLayout(r.first)
	r.clip = container.NewClip(r.over)
	r.message = widget.NewLabel("")
	r.message.Alignment, r.message.Wrapping = fyne.TextAlignCenter, fyne.TextWrapWord
	for i := range r.words {
		r.words[i] = part.NewBadge()
		r.words[i].Set(s.words[i], theme.ColorNameOverlayBackground, look.ColorSecondary)
	}
	s.current = r
	r.Refresh()
	return r
}

type screenRenderer struct {
	screen       *Screen
	image, first *canvas.Image
	over         *fyne.Container
	clip         *container.Clip
	bar          *canvas.Rectangle
	words        [2]*part.Badge
	message      *widget.Label
}

func (r *screenRenderer) Destroy()           { r.screen.current = nil }
func (r *screenRenderer) MinSize() fyne.Size { return fyne.NewSize(160, 100) }

func (r *screenRenderer) Objects() []fyne.CanvasObject {
	return []fyne.CanvasObject{r.image, r.clip, r.bar, r.words[0], r.words[1], r.message}
}

// area returns where the picture goes in the room there is.
func (r *screenRenderer) area(room fyne.Size) (fyne.Position, fyne.Size) {
	if r.screen.image == nil {
		return fyne.Position{}, room
	}
	b := r.screen.image.Bounds()
	scale := min(room.Width/float32(b.Dx()), room.Height/float32(b.Dy()))
	size := fyne.NewSize(float32(b.Dx())*scale, float32(b.Dy())*scale)
	return fyne.NewPos((room.Width-size.Width)/2, (room.Height-size.Height)/2), size
}

func (r *screenRenderer) Layout(room fyne.Size) {
	at, size := r.area(room)
	r.image.Move(at)
	r.image.Resize(size)
	r.message.Resize(fyne.NewSize(room.Width, r.message.MinSize().Height))
	r.message.Move(fyne.NewPos(0, (room.Height-r.message.MinSize().Height)/2))
	if !r.screen.compare {
		return
	}
	left := size.Width * r.screen.split
	r.clip.Move(at)
	r.clip.Resize(fyne.NewSize(left, size.Height))
	r.first.Resize(size)
	r.bar.Move(at.AddXY(left-1, 0))
	r.bar.Resize(fyne.NewSize(2, size.Height))
	for i, w := range r.words {
		w.Resize(w.MinSize())
		w.Move(at.AddXY([2]float32{10, size.Width - w.MinSize().Width - 10}[i], 10))
	}
}

func (r *screenRenderer) Refresh() {
	s := r.screen
	comparing := s.compare && s.image != nil && s.message == ""
	for _, o := range []fyne.CanvasObject{r.clip, r.bar, r.words[0], r.words[1]} {
		if comparing {
			o.Show()
		} else {
			o.Hide()
		}
	}
	r.image.Hidden = s.image == nil || s.message != ""
	r.image.Image, r.first.Image = s.image, s.first
	r.message.Hidden = s.message == ""
	r.message.SetText(s.message)
	th := s.Theme()
	r.bar.FillColor = th.Color(theme.ColorNameForegroundOnPrimary, fyne.CurrentApp().Settings().ThemeVariant())
	r.Layout(s.Size())
	r.image.Refresh()
	canvas.Refresh(s)
}
