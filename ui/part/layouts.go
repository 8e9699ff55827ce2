package part

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/layout"
)

// Column puts objects below each other, gap apart.
func Column(gap float32, objects ...fyne.CanvasObject) *fyne.Container {
	return container.New(layout.NewCustomPaddedVBoxLayout(gap), objects...)
}

// Line puts objects beside each other, gap apart and centred in height; what
// Spread returned takes the room that is left.
func Line(gap float32, objects ...fyne.CanvasObject) *fyne.Container {
	return container.New(line{gap}, objects...)
}

// Inset puts space around an object.
func Inset(top, bottom, left, right float32, o fyne.CanvasObject) *fyne.Container {
	return container.New(layout.NewCustomPaddedLayout(top, bottom, left, right), o)
}

// Sized gives an object a size, as far as that is not 0 and the object not larger.
func Sized(width, height float32, o fyne.CanvasObject) *fyne.Container {
	return container.New(sized{fyne.NewSize(width, height)}, o)
}

// Spread lets an object take the room that a Line has left.
func Spread(o fyne.CanvasObject) *fyne.Container { return container.New(spread{}, o) }

// Background is a rectangle in a colour of the theme; put it below other objects in a
// Stack. Radius rounds its corners, border is the colour of its edge, "" for none.
func Background(fill, border fyne.ThemeColorName, radius float32) *Backdrop {
	b := &Backdrop{fill: fill, border: border, radius: radius}
	b.ExtendBaseWidget(b)
	return b
}

// Rule is a thin line between areas.
func Rule() fyne.CanvasObject {
	b := Background("separator", "", 0)
	b.min = fyne.NewSize(1, 1)
	return b
}

// Gap is empty space.
func Gap(width, height float32) fyne.CanvasObject {
	r := canvas.NewRectangle(transparent)
	r.SetMinSize(fyne.NewSize(width, height))
	return r
}

type spread struct{}

func (spread) MinSize(objects []fyne.CanvasObject) fyne.Size {
	return layout.NewStackLayout().MinSize(objects)
}

func (spread) Layout(objects []fyne.CanvasObject, size fyne.Size) {
	layout.NewStackLayout().Layout(objects, size)
}

type line struct{ gap float32 }

func spreads(o fyne.CanvasObject) bool {
	c, ok := o.(*fyne.Container)
	if !ok {
		return false
	}
	_, ok = c.Layout.(spread)
	return ok
}

func (l line) MinSize(objects []fyne.CanvasObject) fyne.Size {
	var size fyne.Size
	n := 0
	for _, o := range objects {
		if !o.Visible() {
			continue
		}
		min := naturalSize(o)
		size.Width += min.Width
		size.Height = max(size.Height, min.Height)
		n++
	}
	size.Width += l.gap * float32(max(0, n-1))
	return size
}

func (l line) Layout(objects []fyne.CanvasObject, size fyne.Size) {
	free := size.Width - l.MinSize(objects).Width
	spreading := 0
	for _, o := range objects {
		if o.Visible() && spreads(o) {
			spreading++
		}
	}
	x := float32(0)
	for _, o := range objects {
		if !o.Visible() {
			continue
		}
		s := naturalSize(o)
		if spreads(o) {
			s.Width += max(0, free) / float32(spreading)
		}
		o.Resize(s)
		o.Move(fyne.NewPos(x, (size.Height-s.Height)/2))
		x += s.Width + l.gap
	}
}

// naturalSize is an object's smallest size, but a text's whole width.
func naturalSize(o fyne.CanvasObject) fyne.Size {
	s := o.MinSize()
	if t, ok := o.(*Text); ok && t.wrap == 0 {
		s.Width = t.Width() + 1
	}
	return s
}

type sized struct{ size fyne.Size }

func (s sized) MinSize(objects []fyne.CanvasObject) fyne.Size {
	return s.size.Max(layout.NewStackLayout().MinSize(objects))
}

func (sized) Layout(objects []fyne.CanvasObject, size fyne.Size) {
	layout.NewStackLayout().Layout(objects, size)
}
