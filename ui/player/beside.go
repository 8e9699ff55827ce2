package player

import (
	"image"
	"image/draw"
	"math"
	"sync"
)

// Beside returns a video that shows others side by side, frame by frame: in two columns where
// there are more than three. Those that are shorter stay at their last frame.
func Beside(videos ...Video) Video {
	b := &beside{videos: videos, cached: map[int]*image.RGBA{}}
	out := Video{Source: b}
	for _, v := range videos {
		out.Frames, out.FPS = max(out.Frames, v.Frames), max(out.FPS, v.FPS)
	}
	return out
}

// besideGap is between the pictures, in pixels; besideKept are the composed frames that are kept.
const besideGap, besideKept = 6, 48

type beside struct {
	videos []Video

	mu     sync.Mutex
	cached map[int]*image.RGBA
	order  []int
}

// Frame implements Source.
func (b *beside) Frame(i int) (*image.RGBA, error) {
	if img := b.Cached(i); img != nil {
		return img, nil
	}
	frames := make([]*image.RGBA, len(b.videos))
	for k, v := range b.videos {
		img, err := v.Source.Frame(min(i, v.Frames-1))
		if err != nil {
			return nil, err
		}
		frames[k] = img
	}
	img := compose(frames)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cached[i] == nil {
		b.cached[i], b.order = img, append(b.order, i)
	}
	if len(b.order) > besideKept {
		delete(b.cached, b.order[0])
		b.order = b.order[1:]
	}
	return img, nil
}

// Cached implements Source.
func (b *beside) Cached(i int) *image.RGBA {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.cached[i]
}

// Prefetch implements Source.
func (b *beside) Prefetch(i, n int) {
	for _, v := range b.videos {
		v.Source.Prefetch(min(i, v.Frames-1), n)
	}
}

// compose puts pictures beside each other, each in the middle of its cell.
func compose(frames []*image.RGBA) *image.RGBA {
	columns := len(frames)
	if columns > 3 {
		columns = int(math.Ceil(math.Sqrt(float64(columns))))
	}
	rows := (len(frames) + columns - 1) / columns
	var cell image.Point
	for _, f := range frames {
		cell.X, cell.Y = max(cell.X, f.Bounds().Dx()), max(cell.Y, f.Bounds().Dy())
	}
	img := image.NewRGBA(image.Rect(0, 0, columns*(cell.X+besideGap)-besideGap, rows*(cell.Y+besideGap)-besideGap))
	for k, f := range frames {
		at := image.Pt(k%columns*(cell.X+besideGap), k/columns*(cell.Y+besideGap)).Add(cell.Sub(f.Bounds().Size()).Div(2))
		draw.Draw(img, image.Rectangle{at, at.Add(f.Bounds().Size())}, f, f.Bounds().Min, draw.Src)
	}
	return img
}
