package ui

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"gimbal/ui/part"
	"gimbal/ui/studio"
)

// The measures of the column of inputs.
const (
	columnWidth = 316
	labelWidth  = 92
)

var measures = part.Form{Width: columnWidth, Label: labelWidth}

// hints shows the problems of fields below them.
type hints struct {
	of      map[studio.Field]*part.Hint
	touched map[studio.Field]bool
}

func newHints() *hints {
	return &hints{of: map[studio.Field]*part.Hint{}, touched: map[studio.Field]bool{}}
}

// add returns the hint for a field, to be placed below it.
func (h *hints) add(field studio.Field, width float32) *part.Hint {
	hint := part.NewHint(width)
	h.of[field] = hint
	return hint
}

// row returns the hint of a field that has a label.
func (h *hints) row(field studio.Field) *part.Hint { return h.add(field, columnWidth-labelWidth) }

// show shows what the form says; what is merely missing waits until the user asked for
// a run.
func (h *hints) show(f studio.Form) {
	for field, hint := range h.of {
		var lines []string
		color := theme.ColorNameWarning
		for _, p := range f.Of(field) {
			missing := p.Code == studio.PictureMissing || p.Code == studio.PromptEmpty
			if missing && !f.Attempted && !h.touched[field] {
				continue
			}
			if p.Level == studio.Error {
				color = theme.ColorNameError
			}
			lines = append(lines, problemText(p))
		}
		hint.Set(color, lines...)
	}
}

// field is an entry for one of the form's fields.
type field struct {
	*widget.Entry
	name     studio.Field
	revision uint64
	setting  bool
}

// newField returns an entry that edits a field as the user types.
func newField(s Studio, name studio.Field, h *hints) *field {
	return bindField(widget.NewEntry(), s, name, h)
}

// The rows of an entry of several lines, which grows with its text.
const minRows, maxRows = 4, 12

// newTextField returns an entry for several lines that fills the column.
func newTextField(s Studio, name studio.Field, h *hints) *field {
	e := widget.NewMultiLineEntry()
	e.Wrapping = fyne.TextWrapWord
	e.SetMinRowsVisible(minRows)
	f := bindField(e, s, name, h)
	edit, rows := e.OnChanged, minRows
	e.OnChanged = func(text string) {
		if n := min(max(part.LineCount(text, columnWidth-16), minRows), maxRows); n != rows {
			rows = n
			e.SetMinRowsVisible(n)
		}
		edit(text)
	}
	return f
}

func bindField(e *widget.Entry, s Studio, name studio.Field, h *hints) *field {
	f := &field{Entry: e, name: name}
	e.OnChanged = func(text string) {
		if !f.setting {
			h.touched[name] = true
			s.Edit(name, text)
		}
	}
	return f
}

// show takes over the form's text when it changed otherwise than by typing here.
func (f *field) show(form studio.Form) {
	if f.revision == form.Revision && f.revision != 0 {
		return
	}
	f.revision = form.Revision
	f.set(form.Text(f.name))
}

// set shows a text that was not typed.
func (f *field) set(text string) {
	if f.Text != text {
		f.setting = true
		f.SetText(text)
		f.setting = false
	}
}
