package ui

import (
	"slices"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"gimbal/inference"
	"gimbal/ui/look"
	"gimbal/ui/part"
	"gimbal/ui/studio"
)

// The measures of the column of inputs.
const (
	columnWidth = 316
	labelWidth  = 92
)

var measures = part.Form{Width: columnWidth, Label: labelWidth}

// form makes the controls of settings. The place of a setting in the window is one line,
// form.entry("fps"): its label is the translation of its name, a note below it that of its
// name and ".hint", if there is one, and what is wrong with it appears below that.
type form struct {
	w       *Window
	hints   map[studio.Field]*part.Hint
	touched map[studio.Field]bool
	shown   []func(studio.Snapshot) // show the form's values in the controls
}

func newForm(w *Window) *form {
	return &form{w: w, hints: map[studio.Field]*part.Hint{}, touched: map[studio.Field]bool{}}
}

// hint returns the place for what is wrong with a field.
func (f *form) hint(name studio.Field, width float32) *part.Hint {
	f.hints[name] = part.NewHint(width)
	return f.hints[name]
}

// row puts a setting's label before a control of it.
func (f *form) row(name studio.Field, control fyne.CanvasObject) fyne.CanvasObject {
	row := f.only(name, measures.Row(tr(string(name)), control, f.hint(name, columnWidth-labelWidth)))
	if note := translated(string(name)+".hint", "", nil); note != "" {
		return f.only(name, part.Column(4, row, part.Inset(0, 0, labelWidth, 0, part.NewNote(note, columnWidth-labelWidth))))
	}
	return row
}

// only shows an object while a setting does something for the model that runs.
func (f *form) only(name studio.Field, o fyne.CanvasObject) fyne.CanvasObject {
	if setting := inference.FindSetting(string(name)); setting.Modes != nil {
		f.shown = append(f.shown, func(s studio.Snapshot) { setVisible(o, setting.Applies(s.Form.Inputs.Job)) })
	}
	return o
}

// entry places an entry for a setting.
func (f *form) entry(name studio.Field) fyne.CanvasObject { return f.row(name, f.field(name).Entry) }

// choice places the words for a setting's values, in the order of its Choices.
func (f *form) choice(name studio.Field, words ...string) fyne.CanvasObject {
	return f.row(name, f.segmented(name, words...))
}

// check places a box for a setting that is True or False. The words beside it are the
// translation of its name and ".on".
func (f *form) check(name studio.Field) fyne.CanvasObject {
	setting := false
	box := widget.NewCheck(tr(string(name)+".on"), func(on bool) {
		if !setting {
			f.w.studio.Edit(name, map[bool]string{true: "True", false: "False"}[on])
		}
	})
	f.w.names[string(name)] = box
	f.shown = append(f.shown, func(s studio.Snapshot) {
		if on := s.Form.Text(name) == "True"; box.Checked != on {
			setting = true
			box.SetChecked(on)
			setting = false
		}
	})
	return f.row(name, box)
}

// field returns an entry that edits a setting as the user types.
func (f *form) field(name studio.Field) *field { return f.bind(widget.NewEntry(), name) }

// The rows of an entry of several lines, which grows with its text.
const minRows, maxRows = 4, 12

// textField returns an entry for several lines that fills the column.
func (f *form) textField(name studio.Field) *field {
	e := widget.NewMultiLineEntry()
	e.Wrapping = fyne.TextWrapWord
	e.SetMinRowsVisible(minRows)
	bound := f.bind(e, name)
	edit, rows := e.OnChanged, minRows
	e.OnChanged = func(text string) {
		if n := min(max(part.LineCount(text, columnWidth-16), minRows), maxRows); n != rows {
			rows = n
			e.SetMinRowsVisible(n)
		}
		edit(text)
	}
	return bound
}

// bind has an entry edit a setting and show its value.
func (f *form) bind(e *widget.Entry, name studio.Field) *field {
	bound := &field{Entry: e, name: name}
	e.OnChanged = func(text string) {
		if !bound.setting {
			f.touched[name] = true
			f.w.studio.Edit(name, text)
		}
	}
	f.w.names[string(name)] = e
	f.shown = append(f.shown, func(s studio.Snapshot) { bound.show(s.Form) })
	return bound
}

// segmented returns the words for a setting's first values. The last of them stands for
// the values after it, too.
func (f *form) segmented(name studio.Field, words ...string) *part.Segmented {
	choices := inference.FindSetting(string(name)).Choices
	control := part.NewSegmented(words, func(i int) { f.w.studio.Edit(name, choices[i]) })
	f.w.names[string(name)] = control
	f.shown = append(f.shown, func(s studio.Snapshot) {
		control.SetSelected(min(slices.Index(choices, s.Form.Text(name)), len(words)-1))
	})
	return control
}

// show shows the form's values and what is wrong with them; what is merely missing waits
// until the user asked for a run.
func (f *form) show(s studio.Snapshot) {
	for _, show := range f.shown {
		show(s)
	}
	for name, hint := range f.hints {
		var lines []string
		level := studio.Info
		for _, p := range s.Form.Of(name) {
			missing := p.Code == studio.PictureMissing || p.Code == studio.PromptEmpty
			if missing && !s.Form.Attempted && !f.touched[name] {
				continue
			}
			if level == studio.Info || p.Level == studio.Error {
				level = p.Level // the worst
			}
			text := problemText(p)
			if p.Level == studio.Error {
				text = withDetails(text, p.Details)
			}
			lines = append(lines, text)
		}
		hint.Set(problemColor(level), lines...)
	}
}

// field is an entry for one of the form's fields.
type field struct {
	*widget.Entry
	name     studio.Field
	revision uint64
	setting  bool
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

// problemColor is the colour of a level.
func problemColor(l studio.Level) fyne.ThemeColorName {
	switch l {
	case studio.Error:
		return theme.ColorNameError
	case studio.Warning:
		return theme.ColorNameWarning
	}
	return look.ColorSecondary
}
