package plot

import (
	"image"
	"image/color"
	"math"

	"golang.org/x/image/vector"
)

// Point is where a camera is and where it looks. Axes are x right, y down, z forward.
type Point struct {
	X, Y, Z float64
	Forward [3]float64 // of length 1
}

// side chooses the two axes of a view.
type side int

const (
	top  side = iota // x to the right, z up
	flat             // z to the right, height up
)

func (s side) flatten(x, y, z float64) (u, v float64) {
	if s == top {
		return x, z
	}
	return z, -y
}

// view maps a path onto a picture.
type view struct {
	side   side
	points []Point
	scale  float64 // units of the picture in one of the path
	u, v   float64 // of the path in the middle of the picture
	w, h   float64
	tick   float64 // length of a line of sight, in units of the path
}

// fit returns the view in which all of the path, with what the camera looks at, fits
// into w by h units with a margin.
func fit(s side, points []Point, w, h, margin float64) view {
	v := view{side: s, points: points, w: w, h: h, scale: 1}
	if len(points) == 0 {
		return v
	}
	lowU, highU, lowV, highV := math.Inf(1), math.Inf(-1), math.Inf(1), math.Inf(-1)
	include := func(x, y, z float64) {
		a, b := s.flatten(x, y, z)
		lowU, highU, lowV, highV = min(lowU, a), max(highU, a), min(lowV, b), max(highV, b)
	}
	for _, p := range points {
		include(p.X, p.Y, p.Z)
	}
	v.tick = max(0.16*max(highU-lowU, highV-lowV), 1e-3)
	if highU == lowU && highV == lowV {
		v.tick = 1
	}
	for _, p := range points {
		include(p.X+v.tick*p.Forward[0], p.Y+v.tick*p.Forward[1], p.Z+v.tick*p.Forward[2])
	}
	v.u, v.v = (lowU+highU)/2, (lowV+highV)/2
	v.scale = min((w-2*margin)/max(highU-lowU, v.tick), (h-2*margin)/max(highV-lowV, v.tick))
	return v
}

// at returns where a point of the path is in the picture.
func (v view) at(x, y, z float64) (px, py float64) {
	a, b := v.side.flatten(x, y, z)
	return v.w/2 + (a-v.u)*v.scale, v.h/2 - (b-v.v)*v.scale
}

// sight returns the line from a point to what the camera looks at.
func (v view) sight(p Point) (x0, y0, x1, y1 float64) {
	x0, y0 = v.at(p.X, p.Y, p.Z)
	x1, y1 = v.at(p.X+v.tick*p.Forward[0], p.Y+v.tick*p.Forward[1], p.Z+v.tick*p.Forward[2])
	return x0, y0, x1, y1
}

// inks are the colours of a drawing.
type inks struct{ path, sight, start color.Color }

// draw draws the path; unit is the number of pixels in a unit.
func (v view) draw(img *image.RGBA, unit float64, c inks) {
	if len(v.points) == 0 {
		return
	}
	pen := func(ink color.Color, trace func(r *vector.Rasterizer)) {
		r := vector.NewRasterizer(img.Bounds().Dx(), img.Bounds().Dy())
		trace(r)
		r.Draw(img, img.Bounds(), image.NewUniform(ink), image.Point{})
	}
	every := max(1, (len(v.points)+7)/8)
	pen(c.sight, func(r *vector.Rasterizer) {
		for i := 0; i < len(v.points); i += every {
			x0, y0, x1, y1 := v.sight(v.points[i])
			stroke(r, x0, y0, x1, y1, 1.25*unit)
		}
	})
	pen(c.path, func(r *vector.Rasterizer) {
		for i := 1; i < len(v.points); i++ {
			a, b := v.points[i-1], v.points[i]
			x0, y0 := v.at(a.X, a.Y, a.Z)
			x1, y1 := v.at(b.X, b.Y, b.Z)
			stroke(r, x0, y0, x1, y1, 2*unit)
			disc(r, x1, y1, unit)
		}
	})
	pen(c.start, func(r *vector.Rasterizer) {
		x, y := v.at(v.points[0].X, v.points[0].Y, v.points[0].Z)
		disc(r, x, y, 2.75*unit)
	})
}

func stroke(r *vector.Rasterizer, x0, y0, x1, y1, width float64) {
	n := math.Hypot(x1-x0, y1-y0)
	if n == 0 {
		return
	}
	nx, ny := -(y1-y0)/n*width/2, (x1-x0)/n*width/2
	r.MoveTo(float32(x0+nx), float32(y0+ny))
	r.LineTo(float32(x1+nx), float32(y1+ny))
	r.LineTo(float32(x1-nx), float32(y1-ny))
	r.LineTo(float32(x0-nx), float32(y0-ny))
	r.ClosePath()
}

func disc(r *vector.Rasterizer, x, y, radius float64) {
	const corners = 20
	for i := range corners {
		// Clockwise as stroke, so that the two add up where they overlap.
		a := -2 * math.Pi * float64(i) / corners
		px, py := float32(x+radius*math.Cos(a)), float32(y+radius*math.Sin(a))
		if i == 0 {
			r.MoveTo(px, py)
		} else {
			r.LineTo(px, py)
		}
	}
	r.ClosePath()
}
