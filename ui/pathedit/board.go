package pathedit

import (
	"image"
	"math"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/widget"

	"gimbal/inference/keyframes"
)

// board is the path from above or from the side. Keys are dragged, and the chosen one is turned
// by the handle ahead of it; a double tap adds a key, a drag of the ground moves the view, the
// wheel makes it larger.
type board struct {
	widget.BaseWidget
	s      *session
	side   bool
	u, v   float64 // of the path, in the middle
	scale  float64 // units of the window in one of the path; 0 before it is shown
	grip   grip
	raster *canvas.Raster
}

// grip is what a drag has hold of.
type grip int

const (
	nothing grip = iota
	ground
	aKey
	direction
)

var _ interface {
	fyne.Draggable
	fyne.Tappable
	fyne.DoubleTappable
	fyne.Scrollable
	desktop.Mouseable
} = (*board)(nil)

func newBoard(s *session, side bool) *board {
	b := &board{s: s, side: side}
	b.raster = canvas.NewRaster(b.draw)
	b.ExtendBaseWidget(b)
	return b
}

// flat returns where a place is on the board's axes.
func (b *board) flat(k keyframes.Key) (u, v float64) {
	if b.side {
		return k.Z, -k.Y
	}
	return k.X, k.Z
}

// put moves a key to a place on the board's axes: the inverse of flat.
func (b *board) put(k *keyframes.Key, u, v float64) {
	if b.side {
		k.Z, k.Y = u, -v
	} else {
		k.X, k.Z = u, v
	}
}

// fit chooses the part of the world that is shown: all of the path.
func (b *board) fit() {
	size := b.Size()
	if size.Width < 40 || size.Height < 40 {
		return
	}
	lowU, highU, lowV, highV := 0., 0., 0., 0.
	for _, k := range way(b.s.path(), b.s.frames) {
		u, v := b.flat(k)
		lowU, highU, lowV, highV = min(lowU, u), max(highU, u), min(lowV, v), max(highV, v)
	}
	b.u, b.v = (lowU+highU)/2, (lowV+highV)/2
	const margin, least = 44, 2
	b.scale = min((float64(size.Width)-2*margin)/max(highU-lowU, least), (float64(size.Height)-2*margin)/max(highV-lowV, least))
	b.Refresh()
}

// at returns where a place is on the board, in its units.
func (b *board) at(u, v float64) point {
	size := b.Size()
	return point{float64(size.Width)/2 + (u-b.u)*b.scale, float64(size.Height)/2 - (v-b.v)*b.scale}
}

func (b *board) of(p fyne.Position) (u, v float64) {
	size := b.Size()
	return b.u + (float64(p.X)-float64(size.Width)/2)/b.scale, b.v - (float64(p.Y)-float64(size.Height)/2)/b.scale
}

func (b *board) place(k keyframes.Key) point {
	u, v := b.flat(k)
	return b.at(u, v)
}

// ahead returns where the handle of a key's direction is.
func (b *board) ahead(k keyframes.Key) point {
	const reach = 34
	pose, p := k.Pose(), b.place(k)
	u, v := pose[0][2], pose[2][2]
	if b.side {
		u, v = pose[2][2], -pose[1][2]
	}
	return point{p.x + reach*u, p.y - reach*v}
}

// CreateRenderer implements fyne.Widget.
func (b *board) CreateRenderer() fyne.WidgetRenderer { return &boardRenderer{b} }

type boardRenderer struct{ b *board }

func (r *boardRenderer) Destroy()           {}
func (r *boardRenderer) MinSize() fyne.Size { return fyne.NewSize(120, 90) }
func (r *boardRenderer) Refresh()           { r.b.raster.Refresh() }
func (r *boardRenderer) Objects() []fyne.CanvasObject {
	return []fyne.CanvasObject{r.b.raster}
}

func (r *boardRenderer) Layout(size fyne.Size) {
	r.b.raster.Resize(size)
	if r.b.scale == 0 {
		r.b.fit()
	}
}

func (b *board) draw(w, h int) image.Image {
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	if b.Size().Width == 0 || b.scale == 0 {
		return img
	}
	p, ink := pen{img, float64(w) / float64(b.Size().Width)}, themeInks(b.Theme())
	px := func(at point) point { return point{at.x * p.unit, at.y * p.unit} }
	b.drawGrid(p, ink)
	path := b.s.path()
	line := make([]point, 0, b.s.frames)
	for _, k := range way(path, b.s.frames) {
		line = append(line, px(b.place(k)))
	}
	p.lines(ink.path, 2, line)
	for i, k := range path.Keys {
		p.lines(ink.faint, 1.25, b.wedge(k, px))
		fill := ink.raised
		if i == b.s.selected {
			p.lines(ink.accent, 1.5, []point{px(b.place(k)), px(b.ahead(k))})
			if i > 0 {
				p.dot(ink.raised, ink.accent, px(b.ahead(k)), 5, round)
			}
			fill = ink.accent
		}
		p.dot(fill, ink.accent, px(b.place(k)), 6, round)
	}
	p.dot(ink.warn, ink.raised, px(b.place(path.At(float64(b.s.frame)))), 4.5, round)
	return img
}

// wedge is what a key's camera sees, in outline.
func (b *board) wedge(k keyframes.Key, px func(point) point) []point {
	const reach = 26
	half := k.FOV / 2
	left, right := k, k
	left.Heading, right.Heading = k.Heading-half, k.Heading+half
	if b.side {
		left, right = k, k
		left.Pitch, right.Pitch = k.Pitch+half/2, k.Pitch-half/2
	}
	from := b.place(k)
	to := func(k keyframes.Key) point {
		at := b.ahead(k)
		n := max(math.Hypot(at.x-from.x, at.y-from.y), 1)
		return px(point{from.x + (at.x-from.x)/n*reach, from.y + (at.y-from.y)/n*reach})
	}
	a, c := to(left), to(right)
	return []point{px(from), a, c, px(from)}
}

// drawGrid draws lines a round number of the path's units apart.
func (b *board) drawGrid(p pen, ink inks) {
	step := math.Pow(10, math.Ceil(math.Log10(24/b.scale)))
	if step/5*b.scale > 24 {
		step /= 5
	} else if step/2*b.scale > 24 {
		step /= 2
	}
	size := b.Size()
	lowU, highV := b.of(fyne.NewPos(0, 0))
	highU, lowV := b.of(fyne.NewPos(size.Width, size.Height))
	var lines [][]point
	for u := math.Ceil(lowU/step) * step; u <= highU; u += step {
		x := b.at(u, 0).x * p.unit
		lines = append(lines, []point{{x, 0}, {x, float64(size.Height) * p.unit}})
	}
	for v := math.Ceil(lowV/step) * step; v <= highV; v += step {
		y := b.at(0, v).y * p.unit
		lines = append(lines, []point{{0, y}, {float64(size.Width) * p.unit, y}})
	}
	p.lines(ink.grid, 1, lines...)
}

// near returns the key at a place, -1 for none.
func (b *board) near(at fyne.Position) int {
	best, key := 11., -1
	for i, k := range b.s.path().Keys {
		p := b.place(k)
		if d := math.Hypot(p.x-float64(at.X), p.y-float64(at.Y)); d < best || d == best && i == b.s.selected {
			best, key = d, i
		}
	}
	return key
}

// MouseDown implements desktop.Mouseable: it takes hold of what is there.
func (b *board) MouseDown(e *desktop.MouseEvent) {
	p := b.ahead(b.s.key())
	if b.s.selected > 0 && math.Hypot(p.x-float64(e.Position.X), p.y-float64(e.Position.Y)) < 9 {
		b.grip = direction
		return
	}
	if key := b.near(e.Position); key >= 0 {
		if b.grip = aKey; key == 0 {
			b.grip = nothing // where the picture was taken from
		}
		b.s.choose(key)
		return
	}
	b.grip = ground
}

// MouseUp implements desktop.Mouseable.
func (b *board) MouseUp(*desktop.MouseEvent) {}

// Dragged implements fyne.Draggable.
func (b *board) Dragged(e *fyne.DragEvent) {
	u, v := b.of(e.Position)
	switch b.grip {
	case ground:
		b.u -= float64(e.Dragged.DX) / b.scale
		b.v += float64(e.Dragged.DY) / b.scale
		b.Refresh()
	case aKey:
		b.s.change(true, func(k *keyframes.Key) { b.put(k, u, v) })
	case direction:
		b.s.change(true, func(k *keyframes.Key) {
			fromU, fromV := b.flat(*k)
			if b.side {
				k.Pitch = math.Atan2(v-fromV, math.Abs(u-fromU)) * 180 / math.Pi
				return
			}
			heading := math.Atan2(u-fromU, v-fromV) * 180 / math.Pi
			k.Heading = heading + 360*math.Round((k.Heading-heading)/360) // the shorter way
		})
	}
}

// DragEnd implements fyne.Draggable.
func (b *board) DragEnd() {
	b.grip = nothing
	b.s.stack.Settle()
	b.s.changed()
}

// Tapped implements fyne.Tappable: MouseDown has done it.
func (b *board) Tapped(*fyne.PointEvent) {}

// DoubleTapped implements fyne.DoubleTappable: a key where the path is nearest, there.
func (b *board) DoubleTapped(e *fyne.PointEvent) {
	if b.near(e.Position) >= 0 {
		return
	}
	best, frame := math.Inf(1), b.s.frame
	for i, k := range way(b.s.path(), b.s.frames) {
		p := b.place(k)
		if d := math.Hypot(p.x-float64(e.Position.X), p.y-float64(e.Position.Y)); d < best {
			best, frame = d, i
		}
	}
	u, v := b.of(e.Position)
	p, i := b.s.path().Insert(b.s.free(frame))
	k := p.Keys[i]
	b.put(&k, u, v)
	if len(p.Keys) == len(b.s.path().Keys) { // there is no frame left
		return
	}
	b.s.do(p.With(i, k), false)
	b.s.choose(i)
}

// Scrolled implements fyne.Scrollable.
func (b *board) Scrolled(e *fyne.ScrollEvent) {
	u, v := b.of(e.Position)
	b.scale = min(max(b.scale*math.Exp(float64(e.Scrolled.DY)/80), 1e-3), 1e5)
	nowU, nowV := b.of(e.Position)
	b.u, b.v = b.u+u-nowU, b.v+v-nowV
	b.Refresh()
}
