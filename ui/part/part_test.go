package part

import (
	"strings"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/test"
	"fyne.io/fyne/v2/theme"

	"gimbal/ui/look"
)

func newApp(t *testing.T) {
	test.NewTempApp(t).Settings().SetTheme(look.New(look.Light))
}

func TestTextIsCutAndWrapped(t *testing.T) {
	newApp(t)
	long := "a path along the cliffs in the wind"
	cut := NewText(long).Cut()
	test.NewTempWindow(t, cut)
	cut.Resize(fyne.NewSize(80, 20))
	line := test.WidgetRenderer(cut).Objects()[0].(*canvas.Text)
	if !strings.HasSuffix(line.Text, "…") || line.MinSize().Width > 80 {
		t.Errorf("in 80 units it says %q, %g wide", line.Text, line.MinSize().Width)
	}
	if NewText(long).MinSize().Width < 150 {
		t.Error("text that is not cut asks for less room than it takes")
	}
	wrapped := NewNote(long+"\n雨后漫步在老城里，窗户透出温暖的灯光，石板路上有倒影", 90)
	for _, o := range test.WidgetRenderer(wrapped).Objects() {
		if w := o.MinSize().Width; w > 100 {
			t.Errorf("line %q is %g wide, want 90", o.(*canvas.Text).Text, w)
		}
	}
}

func TestHintTakesNoRoomWhenEmpty(t *testing.T) {
	newApp(t)
	h := NewHint(200)
	column := Column(4, NewText("x"), h)
	before := column.MinSize().Height
	h.Set(theme.ColorNameError, "one", "two")
	if column.MinSize().Height <= before {
		t.Error("the hint takes no room")
	}
	h.Set(theme.ColorNameError)
	if column.MinSize().Height != before {
		t.Error("an empty hint takes room")
	}
}

func TestSegmented(t *testing.T) {
	newApp(t)
	var chosen []int
	s := NewSegmented([]string{"a", "b", "c"}, func(i int) { chosen = append(chosen, i) })
	w := test.NewTempWindow(t, s)
	w.Resize(fyne.NewSize(300, 60))
	s.SetDisabled(1, true)
	test.TapAt(s, fyne.NewPos(s.Size().Width/2, 5)) // disabled
	test.TapAt(s, fyne.NewPos(s.Size().Width-5, 5))
	test.TapAt(s, fyne.NewPos(s.Size().Width-5, 5)) // chosen already
	s.TypedKey(&fyne.KeyEvent{Name: fyne.KeyLeft})  // over the disabled one
	if len(chosen) != 2 || chosen[0] != 2 || chosen[1] != 0 || s.Selected() != 0 {
		t.Errorf("chosen %v, at %d; want 2 and then 0", chosen, s.Selected())
	}
}

func TestLineAndDockFill(t *testing.T) {
	newApp(t)
	a, b := Gap(20, 10), Gap(30, 30)
	l := Line(5, a, Spread(NewText("a text that is longer than its room")), b)
	l.Resize(fyne.NewSize(100, 40))
	if b.Position() != fyne.NewPos(70, 5) || a.Position().Y != 15 {
		t.Errorf("at %v and %v, want the edge and the middle", b.Position(), a.Position())
	}
	top, middle := Gap(10, 10), Gap(10, 10)
	d := Dock(top, nil, nil, nil, middle)
	d.Resize(fyne.NewSize(50, 60))
	if middle.Position() != fyne.NewPos(0, 10) || middle.Size() != fyne.NewSize(50, 50) {
		t.Errorf("the middle is at %v, %v large", middle.Position(), middle.Size())
	}
}

func TestDisclosure(t *testing.T) {
	newApp(t)
	content := Gap(10, 100)
	d := NewDisclosure("Advanced", content)
	var open []bool
	d.OnChanged = func(on bool) { open = append(open, on) }
	low := d.MinSize().Height
	test.Tap(d.Button())
	if !d.Open() || d.MinSize().Height < low+100 || len(open) != 1 || !open[0] {
		t.Errorf("open %t, %g high, told %v", d.Open(), d.MinSize().Height, open)
	}
	test.Tap(d.Button())
	if d.Open() || d.MinSize().Height != low {
		t.Error("it does not close")
	}
}
