package plot

import (
	"image"
	"image/color"
	"math"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"
)

var ahead = [3]float64{0, 0, 1}

func line(n int) []Point {
	points := make([]Point, n)
	for i := range points {
		points[i] = Point{Z: float64(i), Forward: ahead}
	}
	return points
}

func TestViewsPointTheRightWay(t *testing.T) {
	points := []Point{{Forward: ahead}, {X: 1, Y: -1, Z: 2, Forward: ahead}} // right, up and ahead
	x0, y0 := fit(top, points, 100, 100, 10).at(0, 0, 0)
	x1, y1 := fit(top, points, 100, 100, 10).at(1, -1, 2)
	if x1 <= x0 || y1 >= y0 {
		t.Errorf("from above: (%g,%g) to (%g,%g), want to the right and up", x0, y0, x1, y1)
	}
	x0, y0 = fit(flat, points, 100, 100, 10).at(0, 0, 0)
	x1, y1 = fit(flat, points, 100, 100, 10).at(1, -1, 2)
	if x1 <= x0 || y1 >= y0 {
		t.Errorf("from the side: (%g,%g) to (%g,%g), want to the right and up", x0, y0, x1, y1)
	}
}

func TestEverythingFits(t *testing.T) {
	turn := make([]Point, 9) // stands still and looks around
	for i := range turn {
		a := float64(i) / 8 * 2 * math.Pi
		turn[i].Forward = [3]float64{math.Sin(a), 0, math.Cos(a)}
	}
	for name, points := range map[string][]Point{"line": line(21), "turn": turn, "still": {{Forward: ahead}, {Forward: ahead}}} {
		for _, s := range []side{top, flat} {
			v := fit(s, points, 140, 90, 8)
			for _, p := range points {
				x0, y0, x1, y1 := v.sight(p)
				for _, q := range [][2]float64{{x0, y0}, {x1, y1}} {
					if q[0] < 7.9 || q[0] > 132.1 || q[1] < 7.9 || q[1] > 82.1 || math.IsNaN(q[0]+q[1]) {
						t.Fatalf("%s, view %d: (%g,%g) is outside the margin", name, s, q[0], q[1])
					}
				}
			}
		}
	}
}

func TestDrawMarksThePath(t *testing.T) {
	img := image.NewRGBA(image.Rect(0, 0, 60, 60))
	blue := color.RGBA{B: 255, A: 255}
	fit(top, line(5), 60, 60, 6).draw(img, 1, inks{path: blue, sight: color.Black, start: color.White})
	n := 0
	for y := range 60 {
		if img.RGBAAt(30, y).B > 200 {
			n++
		}
	}
	if n < 30 {
		t.Errorf("%d pixels of the path in the middle column, want a line", n)
	}
	fit(top, nil, 60, 60, 6).draw(img, 1, inks{}) // nothing to draw, nothing to break
}

func TestMarkerFollows(t *testing.T) {
	test.NewTempApp(t)
	p := NewTop()
	w := test.NewTempWindow(t, p)
	w.Resize(fyne.NewSize(100, 100))
	points := line(5)
	p.SetPath(points)
	p.SetMarker(&points[0])
	from := p.current.dot.Position()
	p.SetMarker(&points[4])
	if to := p.current.dot.Position(); to.Y >= from.Y || p.current.dot.Hidden {
		t.Errorf("the marker went from %v to %v, want up", from, to)
	}
	p.SetMarker(nil)
	if !p.current.dot.Hidden {
		t.Error("the marker of nowhere is shown")
	}
}
