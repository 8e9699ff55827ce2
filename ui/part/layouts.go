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
// Text in it is cut where it has none.
func Spread(o fyne.CanvasObject) *fyne.Container {
	if t, ok := o.(*Text); ok {
		t.Cut()
	}
	return container.New(spread{}, o)
}

// Dock puts objects at the edges and one in the middle, without space between them; any
// may be nil.
func Dock(top, bottom, left, right, middle fyne.CanvasObject) *fyne.Container {
	var objects []fyne.CanvasObject
	for _, o := range []fyne.CanvasObject{top, bottom, left, right, middle} {
		if o != nil {
			objects = append(objects, o)
		}
	}
	return container.New(dock{top, bottom, left, right, middle}, objects...)
}

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
		min := o.MinSize()
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
		s := o.MinSize()
		if spreads(o) {
			s.Width += max(0, free) / float32(spreading)
		}
		o.Resize(s)
		o.Move(fyne.NewPos(x, (size.Height-s.Height)/2))
		x += s.Width + l.gap
	}
}

type sized struct{ size fyne.Size }

func (s sized) MinSize(objects []fyne.CanvasObject) fyne.Size {
	return s.size.Max(layout.NewStackLayout().MinSize(objects))
}

func (sized) Layout(objects []fyne.CanvasObject, size fyne.Size) {
	layout.NewStackLayout().Layout(objects, size)
}

type dock struct{ top, bottom, left, right, middle fyne.CanvasObject }

func edge(o fyne.CanvasObject) fyne.Size {
	if o == nil || !o.Visible() {
		return fyne.Size{}
	}
	return o.MinSize()
}

func (d dock) MinSize([]fyne.CanvasObject) fyne.Size {
	top, bottom, left, right, middle := edge(d.top), edge(d.bottom), edge(d.left), edge(d.right), edge(d.middle)
	return fyne.NewSize(
		max(top.Width, bottom.Width, left.Width+middle.Width+right.Width),
		top.Height+bottom.Height+max(left.Height, middle.Height, right.Height))
}

func (d dock) Layout(_ []fyne.CanvasObject, size fyne.Size) {
	top, bottom, left, right := edge(d.top).Height, edge(d.bottom).Height, edge(d.left).Width, edge(d.right).Width
	place := func(o fyne.CanvasObject, x, y, w, h float32) {
		if o != nil {
			o.Move(fyne.NewPos(x, y))
			o.Resize(fyne.NewSize(w, h))
		}
	}
	height := size.Height - top - bottom
	place(d.top, 0, 0, size.Width, top)
	place(d.bottom, 0, size.Height-bottom, size.Width, bottom)
	place(d.left, 0, top, left, height)
	place(d.right, size.Width-right, top, right, height)
	place(d.middle, left, top, size.Width-left-right, height)
}
