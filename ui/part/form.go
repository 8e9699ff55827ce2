package part

import (
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/widget"

	"gimbal/ui/look"
)

// Form has the measures of a column of inputs.
type Form struct {
	Width float32 // of the column
	Label float32 // of the labels at its left
}

// Row puts a label before a control, with the control's hint below it.
func (f Form) Row(label string, control fyne.CanvasObject, hint *Hint) fyne.CanvasObject {
	name := NewText(label).Colored(look.ColorSecondary)
	row := Line(0, Sized(f.Label, 0, name), Spread(control))
	if hint == nil {
		return row
	}
	return Column(4, row, hint.Indented(f.Label))
}

// Section is a titled part of the form; aside stands at the right of its title.
func (f Form) Section(title string, aside fyne.CanvasObject, content ...fyne.CanvasObject) *fyne.Container {
	head := []fyne.CanvasObject{NewTitle(title), Spread(Gap(0, 18))}
	if aside != nil {
		head = append(head, aside)
	}
	return Column(8, append([]fyne.CanvasObject{Line(4, head...)}, content...)...)
}

// Hint says below a field what is wrong with it, or nothing.
type Hint struct {
	widget.BaseWidget
	text   *Text
	indent float32
}

// NewHint returns an empty hint whose lines are width wide.
func NewHint(width float32) *Hint {
	h := &Hint{text: NewNote("", width)}
	h.ExtendBaseWidget(h)
	h.Hide()
	return h
}

// Indented moves the hint to the right, below a control with a label.
func (h *Hint) Indented(by float32) *Hint { h.indent = by; return h }

// Set shows lines of text; the hint goes when there are none.
func (h *Hint) Set(color fyne.ThemeColorName, lines ...string) {
	text := strings.Join(lines, "\n")
	h.text.SetColor(color)
	h.text.SetText(text)
	if text == "" {
		h.Hide()
	} else {
		h.Show()
	}
}

// Text returns what is shown.
func (h *Hint) Text() string { return h.text.Text() }

// CreateRenderer implements fyne.Widget.
func (h *Hint) CreateRenderer() fyne.WidgetRenderer {
	return widget.NewSimpleRenderer(Inset(0, 2, h.indent, 0, h.text))
}

// Disclosure is a section that opens and closes.
type Disclosure struct {
	widget.BaseWidget
	button  *widget.Button
	content fyne.CanvasObject
	// OnChanged is called when the user opens or closes it.
	OnChanged func(open bool)
}

// NewDisclosure returns a closed section.
func NewDisclosure(title string, content fyne.CanvasObject) *Disclosure {
	d := &Disclosure{content: content}
	d.button = widget.NewButtonWithIcon(title, look.IconNext, func() {
		d.SetOpen(!d.Open())
		if d.OnChanged != nil {
			d.OnChanged(d.Open())
		}
	})
	d.button.Importance = widget.LowImportance
	d.button.Alignment = widget.ButtonAlignLeading
	content.Hide()
	d.ExtendBaseWidget(d)
	return d
}

// Open reports whether the content is shown.
func (d *Disclosure) Open() bool { return d.content.Visible() }

// SetOpen opens or closes the section.
func (d *Disclosure) SetOpen(open bool) {
	if open == d.Open() {
		return
	}
	if open {
		d.content.Show()
		d.button.SetIcon(look.IconDown)
	} else {
		d.content.Hide()
		d.button.SetIcon(look.IconNext)
	}
	d.Refresh()
}

// Button returns the title, which opens and closes the section.
func (d *Disclosure) Button() *widget.Button { return d.button }

// CreateRenderer implements fyne.Widget.
func (d *Disclosure) CreateRenderer() fyne.WidgetRenderer {
	return widget.NewSimpleRenderer(Column(8, Inset(0, 0, -6, -6, d.button), d.content))
}

// IconButton is a small button without words.
func IconButton(icon fyne.Resource, tapped func()) *widget.Button {
	b := widget.NewButtonWithIcon("", icon, tapped)
	b.Importance = widget.LowImportance
	return b
}

// Badge is a word on a small coloured ground.
type Badge struct {
	widget.BaseWidget
	back *Backdrop
	text *Text
}

// NewBadge returns an empty badge.
func NewBadge() *Badge {
	b := &Badge{back: Background(look.ColorSunken, "", 9), text: NewCaption("").Bold()}
	b.ExtendBaseWidget(b)
	return b
}

// Set changes word and colours.
func (b *Badge) Set(word string, fill, ink fyne.ThemeColorName) {
	b.text.SetText(word)
	b.text.SetColor(ink)
	b.back.SetColors(fill, "")
}

// CreateRenderer implements fyne.Widget.
func (b *Badge) CreateRenderer() fyne.WidgetRenderer {
	return widget.NewSimpleRenderer(container.NewStack(b.back, Inset(2, 2, 8, 8, Line(0, b.text))))
}

// Children returns the title and the content.
func (d *Disclosure) Children() []fyne.CanvasObject { return []fyne.CanvasObject{d.button, d.content} }
