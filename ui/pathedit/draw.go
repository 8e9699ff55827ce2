package pathedit

import (
	"image"
	"image/color"
	"math"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"
	"golang.org/x/image/vector"

	"gimbal/inference/keyframes"
	"gimbal/ui/look"
)

// pen draws on a picture; unit is the pixels in a unit of the window.
type pen struct {
	img  *image.RGBA
	unit float64
}

// point is a place in pixels.
type point struct{ x, y float64 }

func (p pen) fill(ink color.Color, trace func(r *vector.Rasterizer)) {
	b := p.img.Bounds()
	r := vector.NewRasterizer(b.Dx(), b.Dy())
	trace(r)
	r.Draw(p.img, b, image.NewUniform(ink), image.Point{})
}

// lines draws lines from point to point.
func (p pen) lines(ink color.Color, width float64, lists ...[]point) {
	p.fill(ink, func(r *vector.Rasterizer) {
		for _, list := range lists {
			for i := 1; i < len(list); i++ {
				p.stroke(r, list[i-1], list[i], width*p.unit)
			}
		}
	})
}

// far bounds what is drawn outside of the picture.
const far = 1e5

func (p pen) stroke(r *vector.Rasterizer, a, b point, width float64) {
	n := math.Hypot(b.x-a.x, b.y-a.y)
	if n == 0 || max(math.Abs(a.x), math.Abs(a.y), math.Abs(b.x), math.Abs(b.y)) > far {
		return
	}
	nx, ny := -(b.y-a.y)/n*width/2, (b.x-a.x)/n*width/2
	polygon(r, point{a.x + nx, a.y + ny}, point{b.x + nx, b.y + ny}, point{b.x - nx, b.y - ny}, point{a.x - nx, a.y - ny})
}

func polygon(r *vector.Rasterizer, corners ...point) {
	for i, c := range corners {
		if i == 0 {
			r.MoveTo(float32(c.x), float32(c.y))
		} else {
			r.LineTo(float32(c.x), float32(c.y))
		}
	}
	r.ClosePath()
}

// dot draws a disc, or a diamond, with an edge.
func (p pen) dot(ink, edge color.Color, at point, radius float64, corners int) {
	for i, c := range []color.Color{edge, ink} {
		size := (radius - 1.5*float64(i)) * p.unit
		p.fill(c, func(r *vector.Rasterizer) {
			list := make([]point, corners)
			for k := range list {
				sin, cos := math.Sincos(2 * math.Pi * float64(k) / float64(corners))
				list[k] = point{at.x + size*cos, at.y + size*sin}
			}
			polygon(r, list...)
		})
	}
}

// round is the corners of a disc, diamond those of a diamond.
const round, diamond = 24, 4

// inks are the theme's colours.
type inks struct{ path, accent, faint, text, raised, warn, grid color.Color }

func themeInks(th fyne.Theme) inks {
	v := fyne.CurrentApp().Settings().ThemeVariant()
	of := func(name fyne.ThemeColorName) color.Color { return th.Color(name, v) }
	return inks{
		path: of(theme.ColorNamePrimary), accent: of(theme.ColorNamePrimary), faint: of(theme.ColorNamePlaceHolder), text: of(theme.ColorNameForeground),
		raised: of(look.ColorRaised), warn: of(theme.ColorNameWarning), grid: of(theme.ColorNameSeparator),
	}
}

// way returns the path's points, one a frame.
func way(p keyframes.Path, frames int) []keyframes.Key {
	all := make([]keyframes.Key, frames)
	for i := range all {
		all[i] = p.At(float64(i))
	}
	return all
}
