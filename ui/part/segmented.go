package part

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"gimbal/ui/look"
)

// Segmented lets the user choose one of a few words that lie side by side. The arrow
// keys work while it has the focus.
type Segmented struct {
	widget.BaseWidget
	words    []string
	disabled []bool
	selected int
	focused  bool
	// OnChanged is called when the user chooses another word.
	OnChanged func(i int)
}

var _ interface {
	fyne.Tappable
	fyne.Focusable
	desktop.Cursorable
} = (*Segmented)(nil)

// NewSegmented returns a control whose first word is chosen.
func NewSegmented(words []string, changed func(i int)) *Segmented {
	s := &Segmented{words: words, disabled: make([]bool, len(words)), OnChanged: changed}
	s.ExtendBaseWidget(s)
	return s
}

// Selected returns which word is chosen, -1 for none.
func (s *Segmented) Selected() int { return s.selected }

// SetSelected chooses a word, without a call of OnChanged.
func (s *Segmented) SetSelected(i int) {
	if s.selected != i {
		s.selected = i
		s.Refresh()
	}
}

// SetDisabled says whether the user may choose a word.
func (s *Segmented) SetDisabled(i int, off bool) {
	if s.disabled[i] != off {
		s.disabled[i] = off
		s.Refresh()
	}
}

// Choose is what a tap on a word does.
func (s *Segmented) Choose(i int) {
	if i < 0 || i >= len(s.words) || s.disabled[i] || i == s.selected {
		return
	}
	s.SetSelected(i)
	if s.OnChanged != nil {
		s.OnChanged(i)
	}
}

// Tapped implements fyne.Tappable.
func (s *Segmented) Tapped(e *fyne.PointEvent) {
	s.Choose(int(e.Position.X / s.Size().Width * float32(len(s.words))))
}

// Cursor implements desktop.Cursorable.
func (s *Segmented) Cursor() desktop.Cursor { return desktop.DefaultCursor }

// FocusGained implements fyne.Focusable.
func (s *Segmented) FocusGained() { s.focused = true; s.Refresh() }

// FocusLost implements fyne.Focusable.
func (s *Segmented) FocusLost() { s.focused = false; s.Refresh() }

// TypedRune implements fyne.Focusable.
func (s *Segmented) TypedRune(rune) {}

// TypedKey implements fyne.Focusable.
func (s *Segmented) TypedKey(e *fyne.KeyEvent) {
	step := map[fyne.KeyName]int{fyne.KeyLeft: -1, fyne.KeyRight: 1}[e.Name]
	for i := s.selected + step; step != 0 && i >= 0 && i < len(s.words); i += step {
		if !s.disabled[i] {
			s.Choose(i)
			return
		}
	}
}

// CreateRenderer implements fyne.Widget.
func (s *Segmented) CreateRenderer() fyne.WidgetRenderer {
	r := &segmentedRenderer{control: s, track: Background(look.ColorSunken, "", 7), thumb: Background(look.ColorRaised, "", 5)}
	r.objects = []fyne.CanvasObject{r.track, r.thumb}
	for _, word := range s.words {
		t := NewText(word).Aligned(fyne.TextAlignCenter)
		r.texts = append(r.texts, t)
		r.objects = append(r.objects, t)
	}
	r.Refresh()
	return r
}

type segmentedRenderer struct {
	control      *Segmented
	track, thumb *Backdrop
	texts        []*Text
	objects      []fyne.CanvasObject
}

func (r *segmentedRenderer) Destroy()                     {}
func (r *segmentedRenderer) Objects() []fyne.CanvasObject { return r.objects }

func (r *segmentedRenderer) MinSize() fyne.Size {
	var size fyne.Size
	for _, t := range r.texts {
		size = size.Max(fyne.NewSize(t.Width()+20, t.MinSize().Height+11))
	}
	return fyne.NewSize(size.Width*float32(len(r.texts)), size.Height)
}

func (r *segmentedRenderer) Layout(size fyne.Size) {
	r.track.Resize(size)
	width := size.Width / float32(len(r.texts))
	r.thumb.Hidden = r.control.selected < 0
	r.thumb.Move(fyne.NewPos(width*float32(r.control.selected)+2, 2))
	r.thumb.Resize(fyne.NewSize(width-4, size.Height-4))
	for i, t := range r.texts {
		t.Move(fyne.NewPos(width*float32(i), 0))
		t.Resize(fyne.NewSize(width, size.Height))
	}
}

func (r *segmentedRenderer) Refresh() {
	border := fyne.ThemeColorName("")
	if r.control.focused {
		border = theme.ColorNamePrimary
	}
	r.track.SetColors(look.ColorSunken, border)
	for i, t := range r.texts {
		switch {
		case r.control.disabled[i]:
			t.SetColor(theme.ColorNameDisabled)
		case i == r.control.selected:
			t.SetColor(theme.ColorNameForeground)
		default:
			t.SetColor(look.ColorSecondary)
		}
	}
	for _, o := range r.objects {
		o.Refresh()
	}
	r.Layout(r.control.Size())
}
