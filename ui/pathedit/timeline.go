package pathedit

import (
	"image"
	"math"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/widget"
	"golang.org/x/image/vector"

	"gimbal/inference/keyframes"
)

// timeline is the path along the video's frames: its keys, and as bars the speed as the model is
// told it. Keys are dragged; a tap looks at a frame, a double tap adds a key.
type timeline struct {
	widget.BaseWidget
	s        *session
	dragging bool
	raster   *canvas.Raster
}

var _ interface {
	fyne.Draggable
	fyne.DoubleTappable
	desktop.Mouseable
} = (*timeline)(nil)

func newTimeline(s *session) *timeline {
	t := &timeline{s: s}
	t.raster = canvas.NewRaster(t.draw)
	t.ExtendBaseWidget(t)
	return t
}

// CreateRenderer implements fyne.Widget.
func (t *timeline) CreateRenderer() fyne.WidgetRenderer { return widget.NewSimpleRenderer(t.raster) }

// MinSize implements fyne.CanvasObject.
func (t *timeline) MinSize() fyne.Size { return fyne.NewSize(200, 78) }

// The room of the keys below the bars, and at both ends.
const keyRoom, endRoom = 22, 12

func (t *timeline) x(frame float64) float64 {
	return endRoom + frame/float64(t.s.frames-1)*(float64(t.Size().Width)-2*endRoom)
}

func (t *timeline) frame(x float32) int {
	f := (float64(x) - endRoom) / (float64(t.Size().Width) - 2*endRoom) * float64(t.s.frames-1)
	return int(math.Round(min(max(f, 0), float64(t.s.frames-1))))
}

func (t *timeline) draw(w, h int) image.Image {
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	size := t.Size()
	if size.Width == 0 {
		return img
	}
	p, ink := pen{img, float64(w) / float64(size.Width)}, themeInks(t.Theme())
	path := t.s.path()
	top, base := 6., float64(size.Height)-keyRoom
	_, crawls := path.Crawl(t.s.frames)
	bars := func(slow bool) func(r *vector.Rasterizer) {
		return func(r *vector.Rasterizer) {
			for _, s := range path.Steps(t.s.frames) {
				if is := crawls && s.Length > 0 && s.Seen < 0.15 || s.Seen > 1.25; is != slow {
					continue
				}
				x0, x1 := t.x(float64(s.Frame-4)+0.4), t.x(float64(s.Frame)-0.4)
				seen, least := min(s.Seen, 1), 1.
				if slow {
					least = 4
				}
				y := base - max(seen*(base-top), least)
				polygon(r, point{x0 * p.unit, base * p.unit}, point{x0 * p.unit, y * p.unit}, point{x1 * p.unit, y * p.unit}, point{x1 * p.unit, base * p.unit})
			}
		}
	}
	p.fill(ink.faint, bars(false))
	p.fill(ink.warn, bars(true))
	p.lines(ink.grid, 1, []point{{t.x(0) * p.unit, base * p.unit}, {t.x(float64(t.s.frames-1)) * p.unit, base * p.unit}})
	now := t.x(float64(t.s.frame)) * p.unit
	p.lines(ink.warn, 1.5, []point{{now, top * p.unit}, {now, float64(size.Height) * p.unit}})
	for i, k := range path.Keys {
		fill := ink.raised
		if i == t.s.selected {
			fill = ink.accent
		}
		p.dot(fill, ink.accent, point{t.x(float64(k.Frame)) * p.unit, (base + keyRoom/2) * p.unit}, 7, diamond)
	}
	return img
}

// MouseDown implements desktop.Mouseable.
func (t *timeline) MouseDown(e *desktop.MouseEvent) {
	best, key := 9., -1
	for i, k := range t.s.path().Keys {
		if d := math.Abs(t.x(float64(k.Frame)) - float64(e.Position.X)); d < best && float64(e.Position.Y) > float64(t.Size().Height)-keyRoom-6 {
			best, key = d, i
		}
	}
	if t.dragging = key > 0; key >= 0 {
		t.s.choose(key)
		return
	}
	t.s.look(t.frame(e.Position.X))
}

// MouseUp implements desktop.Mouseable.
func (t *timeline) MouseUp(*desktop.MouseEvent) {}

// Dragged implements fyne.Draggable.
func (t *timeline) Dragged(e *fyne.DragEvent) {
	frame := t.frame(e.Position.X)
	if !t.dragging {
		t.s.look(frame)
		return
	}
	t.s.change(true, func(k *keyframes.Key) { k.Frame = frame })
}

// DragEnd implements fyne.Draggable.
func (t *timeline) DragEnd() {
	t.dragging = false
	t.s.stack.Settle()
	t.s.changed()
}

// DoubleTapped implements fyne.DoubleTappable.
func (t *timeline) DoubleTapped(e *fyne.PointEvent) {
	t.s.look(t.frame(e.Position.X))
	t.s.add()
}
