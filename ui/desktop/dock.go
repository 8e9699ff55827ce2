package desktop

import (
	"bytes"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"math"
	"sync"

	"gimbal/assets"

	xdraw "golang.org/x/image/draw"
	"golang.org/x/image/vector"
)

// dock draws the program's icon with a bar of progress on it, since the Dock shows
// no progress but that of a picture.
type dock struct {
	percent int // shown now, plus one: the zero value shows none
}

// dockSize is the icon's side; the Dock magnifies to 128 points.
const dockSize = 256

// show returns the icon to show, nil for the program's own, and whether it is
// another than the last.
func (d *dock) show(fraction float64) (icon []byte, changed bool) {
	percent := 0
	if fraction >= 0 {
		percent = 1 + int(math.Round(100*min(fraction, 1)))
	}
	if percent == d.percent {
		return nil, false
	}
	d.percent = percent
	if percent == 0 {
		return nil, true
	}
	return drawProgress(float64(percent-1) / 100), true
}

var appIcon = sync.OnceValue(func() image.Image {
	icon, err := png.Decode(bytes.NewReader(assets.Icon))
	if err != nil {
		panic(err) // embedded
	}
	return icon
})

// drawProgress returns the icon with a bar near its lower edge, as PNG.
func drawProgress(fraction float64) []byte {
	icon := appIcon()
	dst := image.NewNRGBA(image.Rect(0, 0, dockSize, dockSize))
	xdraw.CatmullRom.Scale(dst, dst.Rect, icon, icon.Bounds(), draw.Over, nil)

	const left, right, top, bottom, border = 40, dockSize - 40, 188, 212, 4
	pill(dst, left, top, right, bottom, color.NRGBA{A: 170})
	width := (right - left - 2*border) * fraction
	if height := float64(bottom - top - 2*border); width > 0 {
		pill(dst, left+border, top+border, left+border+max(width, height), bottom-border, color.White)
	}
	var out bytes.Buffer
	if err := png.Encode(&out, dst); err != nil {
		panic(err) // a picture of this size always encodes
	}
	return out.Bytes()
}

// pill fills a rectangle with round ends.
func pill(dst draw.Image, x0, y0, x1, y1 float64, c color.Color) {
	const k = 0.5523 // of a circle's quarter by one cubic
	r := (y1 - y0) / 2
	z := vector.NewRasterizer(dst.Bounds().Dx(), dst.Bounds().Dy())
	at := func(x, y float64) (float32, float32) { return float32(x), float32(y) }
	cube := func(bx, by, cx, cy, dx, dy float64) {
		z.CubeTo(float32(bx), float32(by), float32(cx), float32(cy), float32(dx), float32(dy))
	}
	z.MoveTo(at(x0+r, y0))
	z.LineTo(at(x1-r, y0))
	cube(x1-r+k*r, y0, x1, y0+r-k*r, x1, y0+r)
	cube(x1, y0+r+k*r, x1-r+k*r, y1, x1-r, y1)
	z.LineTo(at(x0+r, y1))
	cube(x0+r-k*r, y1, x0, y1-r+k*r, x0, y1-r)
	cube(x0, y0+r-k*r, x0+r-k*r, y0, x0+r, y0)
	z.ClosePath()
	z.Draw(dst, dst.Bounds(), image.NewUniform(c), image.Point{})
}
