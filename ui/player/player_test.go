package player

import (
	"errors"
	"image"
	"slices"
	"testing"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"
)

// film is a Source whose frames are told apart by their width.
type film struct {
	cached map[int]*image.RGBA
	broken bool
}

func (f *film) Frame(i int) (*image.RGBA, error) {
	if f.broken {
		return nil, errors.New("frame_00001.png is damaged")
	}
	img := image.NewRGBA(image.Rect(0, 0, 20+i, 10))
	f.cached[i] = img
	return img, nil
}

func (f *film) Cached(i int) *image.RGBA { return f.cached[i] }
func (f *film) Prefetch(int, int)        {}

// newTestPlayer returns a player whose time the test sets and that works in the
// test's goroutine; its ticking is the test's calls of tick.
func newTestPlayer(t *testing.T, frames int) (*Player, *film, *time.Time) {
	t.Helper()
	test.NewTempApp(t)
	p := New(Words{First: "First", Current: "Current", Broken: "Broken.", Speeds: []string{"¼", "½", "1", "2"}}, func(time.Duration, func()) func() { return func() {} }, func(work, done func()) { work(); done() })
	now := time.Unix(1000, 0)
	p.now = func() time.Time { return now }
	f := &film{cached: map[int]*image.RGBA{}}
	for i := range frames {
		if _, err := f.Frame(i); err != nil {
			t.Fatal(err)
		}
	}
	test.NewTempWindow(t, p).Resize(fyne.NewSize(600, 400))
	p.SetVideo(Video{Source: f, Frames: frames, FPS: 16}, false)
	return p, f, &now
}

func TestPlaysInTime(t *testing.T) {
	p, _, now := newTestPlayer(t, 8)
	var seen []int
	p.OnFrame = func(i int) { seen = append(seen, i) }
	p.Play()
	for range 5 {
		*now = now.Add(time.Second / 8) // two frames
		p.tick()
	}
	if want := []int{2, 4, 6, 0, 2}; !slices.Equal(seen, want) {
		t.Errorf("frames %v were shown, want %v", seen, want)
	}
	if !p.Playing() {
		t.Error("a video that loops has stopped")
	}
	p.Pause()
	*now = now.Add(time.Second)
	p.tick()
	if p.Frame() != 2 {
		t.Errorf("paused at 2, it shows %d", p.Frame())
	}
}

func TestEndsWithoutLoop(t *testing.T) {
	p, _, now := newTestPlayer(t, 5)
	p.SetLoop(false)
	p.Play()
	*now = now.Add(10 * time.Second)
	p.tick()
	if p.Playing() || p.Frame() != 4 {
		t.Errorf("after the end it shows %d, playing %t; want the last frame, still", p.Frame(), p.Playing())
	}
	p.Play() // from the beginning
	p.tick()
	if p.Frame() != 0 {
		t.Errorf("played again it starts at %d", p.Frame())
	}
	p.Pause()
}

func TestStepSeekAndSpeed(t *testing.T) {
	p, _, now := newTestPlayer(t, 6)
	p.Step(-1)
	if p.Frame() != 5 {
		t.Errorf("a step back from the first frame shows %d, want the last", p.Frame())
	}
	p.Seek(99)
	if p.Frame() != 5 {
		t.Errorf("frame %d of 6", p.Frame())
	}
	p.Seek(0)
	p.Play()
	p.SetSpeed(0.5)
	*now = now.Add(time.Second / 4)
	p.tick()
	if p.Frame() != 2 {
		t.Errorf("after a quarter of a second at half speed it shows %d, want 2", p.Frame())
	}
	p.Pause()
	test.Tap(p.controls.next)
	if p.Frame() != 3 {
		t.Errorf("after a tap on next it shows %d, want 3", p.Frame())
	}
	p.controls.slider.SetValue(1)
	if p.Frame() != 1 {
		t.Errorf("the slider at 1 shows %d", p.Frame())
	}
}

func TestReadsFramesThatAreNotAtHand(t *testing.T) {
	p, f, _ := newTestPlayer(t, 4)
	clear(f.cached)
	p.Step(1)
	if p.Frame() != 1 || p.screen.Image().Bounds().Dx() != 21 {
		t.Errorf("frame %d is shown", p.Frame())
	}
	clear(f.cached)
	f.broken = true
	p.Step(1)
	if got := p.screen.message; got != "Broken.\nframe_00001.png is damaged" {
		t.Errorf("of a damaged frame it says %q", got)
	}
}

func TestCompareDrags(t *testing.T) {
	p, _, _ := newTestPlayer(t, 4)
	p.Step(2)
	test.Tap(p.controls.compare)
	if !p.screen.Comparing() || p.screen.Split() != 0.5 {
		t.Fatal("no comparison, or not in the middle")
	}
	at, size := p.screen.current.area(p.screen.Size())
	p.screen.Dragged(&fyne.DragEvent{PointEvent: fyne.PointEvent{Position: at.AddXY(size.Width/4, 5)}})
	if got := p.screen.Split(); got != 0.25 {
		t.Errorf("the bar is at %g, want a quarter", got)
	}
	if w := p.screen.current.clip.Size().Width; w != size.Width/4 {
		t.Errorf("the first frame covers %g of %g", w, size.Width)
	}
	if p.screen.first != f0(p) {
		t.Error("compared with another than the first frame")
	}
}

func f0(p *Player) image.Image { return p.video.Source.Cached(0) }

func TestClearLetsGo(t *testing.T) {
	p, _, _ := newTestPlayer(t, 4)
	p.Play()
	p.Clear()
	if p.Playing() || p.screen.Image() != nil || p.screen.first != nil || p.stop != nil {
		t.Error("a cleared player keeps pictures or goes on")
	}
}
