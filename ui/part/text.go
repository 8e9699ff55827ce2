package part

import (
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"
	"github.com/rivo/uniseg"

	"gimbal/ui/look"
)

// Text is text without the space that Fyne's labels have around them, so that it
// lines up with what is above and below it.
type Text struct {
	widget.BaseWidget
	text  string
	color fyne.ThemeColorName
	size  fyne.ThemeSizeName
	style fyne.TextStyle
	align fyne.TextAlign
	wrap  float32 // the width to wrap at; 0 for one line
	cut   bool    // a line is cut short where there is no room
}

// NewText returns text of one line.
func NewText(text string) *Text {
	t := &Text{text: text, color: theme.ColorNameForeground, size: theme.SizeNameText}
	t.ExtendBaseWidget(t)
	return t
}

// NewTitle returns the title of a section.
func NewTitle(text string) *Text { return NewText(text).Bold() }

// NewCaption returns small text that explains, of one line.
func NewCaption(text string) *Text {
	return NewText(text).Sized(theme.SizeNameCaptionText).Colored(look.ColorSecondary)
}

// NewNote returns small text that explains, wrapped at width.
func NewNote(text string, width float32) *Text { return NewCaption(text).Wrapped(width) }

// Bold makes the text semibold.
func (t *Text) Bold() *Text { t.style.Bold = true; return t }

// Colored gives the text a colour of the theme.
func (t *Text) Colored(name fyne.ThemeColorName) *Text { t.color = name; return t }

// Sized gives the text a size of the theme.
func (t *Text) Sized(name fyne.ThemeSizeName) *Text { t.size = name; return t }

// Aligned places the text in the room that it has.
func (t *Text) Aligned(a fyne.TextAlign) *Text { t.align = a; return t }

// Wrapped breaks the text into lines of at most width.
func (t *Text) Wrapped(width float32) *Text { t.wrap = width; return t }

// Cut lets the text be cut short, with an ellipsis, where it has no room.
func (t *Text) Cut() *Text { t.cut = true; return t }

// Text returns the text.
func (t *Text) Text() string { return t.text }

// SetText changes the text.
func (t *Text) SetText(text string) {
	if t.text != text {
		t.text = text
		t.Refresh()
	}
}

// SetColor changes the colour.
func (t *Text) SetColor(name fyne.ThemeColorName) {
	if t.color != name {
		t.color = name
		t.Refresh()
	}
}

// CreateRenderer implements fyne.Widget.
func (t *Text) CreateRenderer() fyne.WidgetRenderer {
	r := &textRenderer{text: t}
	r.Refresh()
	return r
}

type textRenderer struct {
	text  *Text
	lines []fyne.CanvasObject // of *canvas.Text
	full  []string
}

func (r *textRenderer) Destroy()                     {}
func (r *textRenderer) Objects() []fyne.CanvasObject { return r.lines }

func (r *textRenderer) MinSize() fyne.Size {
	t := r.text
	size := t.Theme().Size(t.size)
	height := fyne.MeasureText("Äg", size, t.style).Height
	switch {
	case t.wrap > 0:
		return fyne.NewSize(t.wrap, height*float32(max(1, len(r.full))))
	case t.cut:
		return fyne.NewSize(1, height)
	}
	return fyne.NewSize(t.Width(), height)
}

func (r *textRenderer) Layout(area fyne.Size) {
	t := r.text
	size := t.Theme().Size(t.size)
	height := fyne.MeasureText("Äg", size, t.style).Height
	y := max(0, (area.Height-height*float32(len(r.lines)))/2)
	for i, o := range r.lines {
		line := o.(*canvas.Text)
		if t.cut {
			line.Text = shorten(r.full[i], area.Width, size, t.style)
		}
		line.Move(fyne.NewPos(0, y))
		line.Resize(fyne.NewSize(area.Width, height))
		y += height
	}
}

func (r *textRenderer) Refresh() {
	t := r.text
	th := t.Theme()
	size := th.Size(t.size)
	ink := th.Color(t.color, variant())
	r.full = []string{t.text}
	if t.wrap > 0 {
		r.full = breakLines(t.text, t.wrap, size, t.style)
	}
	for len(r.lines) < len(r.full) {
		r.lines = append(r.lines, canvas.NewText("", color.Transparent))
	}
	r.lines = r.lines[:len(r.full)]
	for i, o := range r.lines {
		line := o.(*canvas.Text)
		line.Text, line.Color, line.TextSize, line.TextStyle, line.Alignment = r.full[i], ink, size, t.style, t.align
	}
	r.Layout(t.Size())
	for _, line := range r.lines {
		line.Refresh()
	}
}

func variant() fyne.ThemeVariant { return fyne.CurrentApp().Settings().ThemeVariant() }

// Width returns how wide the text is on one line.
func (t *Text) Width() float32 {
	return fyne.MeasureText(t.text, t.Theme().Size(t.size), t.style).Width
}

// shorten cuts text to width, with an ellipsis.
func shorten(text string, width, size float32, style fyne.TextStyle) string {
	if width <= 0 || fyne.MeasureText(text, size, style).Width <= width+0.5 {
		return text
	}
	runes := []rune(text)
	low, high := 0, len(runes)
	for low < high {
		middle := (low + high + 1) / 2
		if fyne.MeasureText(string(runes[:middle])+"…", size, style).Width <= width {
			low = middle
		} else {
			high = middle - 1
		}
	}
	return string(runes[:low]) + "…"
}

// breakLines breaks text where Unicode allows it.
func breakLines(text string, width, size float32, style fyne.TextStyle) []string {
	var lines []string
	line, state := "", -1
	for rest := text; rest != ""; {
		var segment string
		var must bool
		segment, rest, must, state = uniseg.FirstLineSegmentInString(rest, state)
		if line != "" && fyne.MeasureText(line+segment, size, style).Width > width {
			lines = append(lines, line)
			line = ""
		}
		line += segment
		if must && rest != "" {
			lines = append(lines, trimBreak(line))
			line = ""
		}
	}
	return append(lines, trimBreak(line))
}

func trimBreak(s string) string {
	for len(s) > 0 && (s[len(s)-1] == '\n' || s[len(s)-1] == '\r') {
		s = s[:len(s)-1]
	}
	return s
}
