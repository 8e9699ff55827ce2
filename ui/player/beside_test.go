package player

import (
	"errors"
	"image"
	"image/color"
	"testing"
)

// plain is a video of one colour, a little brighter with every frame.
type plain struct {
	w, h  int
	value uint8
	err   error
	reads int
}

func (p *plain) Frame(i int) (*image.RGBA, error) {
	p.reads++
	img := image.NewRGBA(image.Rect(0, 0, p.w, p.h))
	for k := range img.Pix {
		img.Pix[k] = p.value + uint8(i)
	}
	return img, p.err
}

func (p *plain) Cached(int) *image.RGBA { return nil }
func (p *plain) Prefetch(int, int)      {}

func TestBeside(t *testing.T) {
	a, b := &plain{w: 20, h: 10, value: 10}, &plain{w: 10, h: 10, value: 100}
	v := Beside(Video{a, 9, 16}, Video{b, 5, 8})
	if v.Frames != 9 || v.FPS != 16 {
		t.Errorf("%d frames, %d a second", v.Frames, v.FPS)
	}
	img, err := v.Source.Frame(7)
	if err != nil || img.Bounds().Size() != image.Pt(20+besideGap+20, 10) {
		t.Fatalf("%v, %v", img.Bounds(), err)
	}
	for at, want := range map[image.Point]uint8{{0, 0}: 17, {19, 9}: 17, {22, 5}: 0, {20 + besideGap + 10, 5}: 104} {
		if got := img.At(at.X, at.Y).(color.RGBA).R; got != want {
			t.Errorf("at %v: %d, want %d", at, got, want)
		}
	}
	if v.Source.Cached(7) != img || v.Source.Cached(6) != nil {
		t.Error("what was composed is not kept, or what was not")
	}
	for i := range 3 * besideKept {
		if _, err := v.Source.Frame(i % 9); err != nil {
			t.Fatal(err)
		}
	}
	if a.reads > 9 {
		t.Errorf("frames were composed %d times", a.reads)
	}
	four := Beside(Video{a, 9, 16}, Video{a, 9, 16}, Video{a, 9, 16}, Video{b, 5, 8})
	if img, _ := four.Source.Frame(0); img.Bounds().Size() != image.Pt(2*20+besideGap, 2*10+besideGap) {
		t.Errorf("four are %v", img.Bounds())
	}
	b.err = errors.New("gone")
	if _, err := v.Source.Frame(8); err != nil {
		t.Error("a kept frame was read again", err)
	}
	if _, err := Beside(Video{b, 5, 8}).Source.Frame(0); !errors.Is(err, b.err) {
		t.Error(err)
	}
}
