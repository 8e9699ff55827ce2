package pathedit

import (
	"math"
	"strconv"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"gimbal/inference/keyframes"
	"gimbal/ui/look"
	"gimbal/ui/part"
)

// number is an entry for a number of the chosen key.
type number struct {
	widget.Entry
	s       *session
	of      func(k *keyframes.Key) *float64
	sign    float64 // heights go up, the path's axis down
	setting bool
}

func newNumber(s *session, sign float64, of func(k *keyframes.Key) *float64) *number {
	n := &number{s: s, of: of, sign: sign}
	n.ExtendBaseWidget(n)
	n.OnChanged = func(text string) {
		v, err := strconv.ParseFloat(strings.Replace(strings.TrimSpace(text), ",", ".", 1), 64)
		if n.setting || err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
			return
		}
		n.setting = true // what is typed stays as it is
		s.change(true, func(k *keyframes.Key) { *of(k) = sign * v })
		n.setting = false
	}
	return n
}

// FocusLost implements fyne.Focusable: what was typed is one step to undo.
func (n *number) FocusLost() {
	n.Entry.FocusLost()
	n.s.stack.Settle()
	n.show()
}

func (n *number) show() {
	if n.setting {
		return
	}
	k := n.s.key()
	text := strconv.FormatFloat(math.Round(n.sign**n.of(&k)*1000)/1000+0, 'f', -1, 64)
	if n.Text != text {
		n.setting = true
		n.SetText(text)
		n.setting = false
	}
}

// fields are the numbers of the chosen key.
type fields struct {
	s       *session
	title   *part.Text
	numbers map[string]*number
	frame   float64
	ease    *part.Segmented
	round   *widget.Check
	speed   *widget.Check
	setting bool
	view    fyne.CanvasObject
}

func newFields(s *session, w Words) *fields {
	f := &fields{s: s, title: part.NewTitle(""), numbers: map[string]*number{}}
	add := func(name string, sign float64, of func(k *keyframes.Key) *float64) fyne.CanvasObject {
		f.numbers[name] = newNumber(s, sign, of)
		return part.Column(2, part.NewCaption(w.Fields[name]), f.numbers[name])
	}
	grid := container.NewGridWithColumns(2,
		add("frame", 1, func(k *keyframes.Key) *float64 { f.frame = float64(k.Frame); return &f.frame }),
		add("fov", 1, func(k *keyframes.Key) *float64 { return &k.FOV }),
		add("right", 1, func(k *keyframes.Key) *float64 { return &k.X }),
		add("ahead", 1, func(k *keyframes.Key) *float64 { return &k.Z }),
		add("up", -1, func(k *keyframes.Key) *float64 { return &k.Y }),
		add("heading", 1, func(k *keyframes.Key) *float64 { return &k.Heading }),
		add("pitch", 1, func(k *keyframes.Key) *float64 { return &k.Pitch }),
		add("roll", 1, func(k *keyframes.Key) *float64 { return &k.Roll }),
	)
	f.numbers["frame"].OnChanged = func(text string) {
		if v, err := strconv.Atoi(strings.TrimSpace(text)); err == nil && !f.numbers["frame"].setting {
			f.numbers["frame"].setting = true
			s.change(true, func(k *keyframes.Key) { k.Frame = v })
			f.numbers["frame"].setting = false
		}
	}
	f.ease = part.NewSegmented(w.Eases[:], func(i int) {
		s.change(false, func(k *keyframes.Key) { k.Ease = keyframes.Eases[i] })
	})
	f.round = widget.NewCheck(w.Round, func(on bool) {
		if !f.setting {
			s.do(s.path().Rounded(on), false)
		}
	})
	f.speed = widget.NewCheck(w.Absolute, func(on bool) {
		if !f.setting {
			s.do(s.path().Absolutely(on), false)
		}
	})
	f.view = part.Column(8, f.title, grid, part.NewCaption(w.Ease), f.ease, f.round, f.speed, part.NewNote(w.AbsoluteHint, 210))
	return f
}

func (f *fields) show(w Words) {
	f.title.SetText(w.Key(f.s.selected+1, len(f.s.path().Keys)))
	for name, n := range f.numbers {
		n.show()
		if fixed := f.s.selected == 0 && name != "fov"; fixed != n.Disabled() {
			if fixed {
				n.Disable()
			} else {
				n.Enable()
			}
		}
	}
	for i, e := range keyframes.Eases {
		if e == f.s.key().Ease {
			f.ease.SetSelected(i)
		}
	}
	f.setting = true
	f.round.SetChecked(f.s.path().Round)
	f.speed.SetChecked(f.s.path().Absolute)
	f.setting = false
}

// notes says what the model makes of the path's speed.
type notes struct {
	text *part.Hint
}

func (n notes) show(s *session, w Words) {
	if c, ok := s.path().Crawl(s.frames); ok {
		n.text.Set(theme.ColorNameWarning, w.Crawl(c))
		return
	}
	if fast, ok := s.path().Fast(s.frames); ok {
		n.text.Set(theme.ColorNameWarning, w.Fast(fast))
		return
	}
	n.text.Set(look.ColorSecondary)
}
