package part

import (
	"image"
	"image/color"
	"math"

	"golang.org/x/image/vector"
)

var transparent = color.Transparent

// dashedFrame draws a dashed frame with round corners; scale is the number of pixels
// in a unit.
func dashedFrame(w, h int, scale float32, ink color.Color) image.Image {
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	if w < 8 || h < 8 {
		return img
	}
	radius, inset, stroke := 10*scale, scale, 1.5*scale
	outline := roundRect(inset, inset, float32(w)-inset, float32(h)-inset, radius)
	pen := vector.NewRasterizer(w, h)
	length := float32(0)
	dash, pause := 6*scale, 5*scale
	for i := 1; i < len(outline); i++ {
		a, b := outline[i-1], outline[i]
		step := float32(math.Hypot(float64(b[0]-a[0]), float64(b[1]-a[1])))
		if m := float32(math.Mod(float64(length), float64(dash+pause))); m < dash {
			segment(pen, a, b, stroke)
		}
		length += step
	}
	pen.Draw(img, img.Bounds(), image.NewUniform(ink), image.Point{})
	return img
}

type vec [2]float32

// roundRect returns a closed outline in steps of about a unit.
func roundRect(x0, y0, x1, y1, r float32) []vec {
	var points []vec
	corner := func(cx, cy, from float32) {
		for i := 0; i <= 12; i++ {
			a := float64(from) + float64(i)/12*math.Pi/2
			points = append(points, vec{cx + r*float32(math.Cos(a)), cy + r*float32(math.Sin(a))})
		}
	}
	side := func(a, b vec) {
		n := int(math.Hypot(float64(b[0]-a[0]), float64(b[1]-a[1])))
		for i := 0; i <= n; i++ {
			t := float32(i) / float32(max(1, n))
			points = append(points, vec{a[0] + (b[0]-a[0])*t, a[1] + (b[1]-a[1])*t})
		}
	}
	side(vec{x0 + r, y0}, vec{x1 - r, y0})
	corner(x1-r, y0+r, -math.Pi/2)
	side(vec{x1, y0 + r}, vec{x1, y1 - r})
	corner(x1-r, y1-r, 0)
	side(vec{x1 - r, y1}, vec{x0 + r, y1})
	corner(x0+r, y1-r, math.Pi/2)
	side(vec{x0, y1 - r}, vec{x0, y0 + r})
	corner(x0+r, y0+r, math.Pi)
	return points
}

// segment adds a straight line of some width to what pen draws.
func segment(pen *vector.Rasterizer, a, b vec, width float32) {
	dx, dy := b[0]-a[0], b[1]-a[1]
	n := float32(math.Hypot(float64(dx), float64(dy)))
	if n == 0 {
		return
	}
	nx, ny := -dy/n*width/2, dx/n*width/2
	pen.MoveTo(a[0]+nx, a[1]+ny)
	pen.LineTo(b[0]+nx, b[1]+ny)
	pen.LineTo(b[0]-nx, b[1]-ny)
	pen.LineTo(a[0]-nx, a[1]-ny)
	pen.ClosePath()
}
