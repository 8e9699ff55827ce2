package ui

import (
	"path/filepath"
	"slices"
	"strconv"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"gimbal/inference"
	"gimbal/ui/desktop"
	"gimbal/ui/part"
	"gimbal/ui/studio"
)

// loraInput is the section of the LoRAs: a list with a box and two sliders for each, and the
// offer of the steps that a distilled one wants.
type loraInput struct {
	w     *Window
	list  []inference.LoRA // as it is shown
	rows  []*loraRow
	lines *fyne.Container
	offer *widget.Button
	view  fyne.CanvasObject
}

func newLoRAInput(w *Window, f *form) *loraInput {
	l := &loraInput{w: w, lines: part.Column(10)}
	add := part.IconButton(theme.ContentAddIcon(), l.add)
	l.offer = widget.NewButton("", w.studio.UseFewSteps)
	l.offer.Hide()
	w.names["lora.add"], w.names["lora.steps"] = add, l.offer
	l.view = measures.Section(tr("loras"), add, l.lines, f.hint(studio.FieldLoRAs, columnWidth), l.offer)
	return l
}

// loraExtensions are those of the files that hold LoRAs.
var loraExtensions = []string{"safetensors", "sft", "pt", "pth", "bin", "gguf"}

func (l *loraInput) add() {
	l.w.pick(desktop.Panel{Kind: desktop.PickFile, Title: tr("loras.choose"), Filter: tr("loras"), Extensions: loraExtensions},
		func(path string) { l.w.studio.Drop([]string{path}) })
}

// edit changes the list.
func (l *loraInput) edit(change func(list []inference.LoRA) []inference.LoRA) {
	l.list = change(slices.Clone(l.list))
	job := inference.Job{LoRAs: inference.NewLoRAs(l.list...)}
	l.w.studio.Edit(studio.FieldLoRAs, inference.FindSetting(string(studio.FieldLoRAs)).Text(job))
}

func (l *loraInput) show(s studio.Snapshot) {
	list := s.Form.Inputs.Job.LoRAs.List()
	if len(list) != len(l.rows) {
		l.build(len(list))
	}
	l.list = list
	for i, row := range l.rows {
		row.show(list[i])
	}
	if n := s.Form.FewSteps; n > 0 {
		l.offer.SetText(tr("loras.steps", map[string]any{"N": n}))
	}
	setVisible(l.offer, s.Form.FewSteps > 0)
}

// build makes rows for n LoRAs.
func (l *loraInput) build(n int) {
	l.rows, l.lines.Objects = nil, nil
	for i := range n {
		row := newLoRARow(l, i)
		l.rows = append(l.rows, row)
		l.lines.Add(row.view)
	}
}

// loraRow is one LoRA.
type loraRow struct {
	on        *widget.Check
	name      *part.Text
	high, low *strengthInput
	setting   bool
	view      fyne.CanvasObject
}

func newLoRARow(l *loraInput, i int) *loraRow {
	r := &loraRow{name: part.NewText("").Cut()}
	change := func(f func(one *inference.LoRA)) {
		if !r.setting {
			l.edit(func(list []inference.LoRA) []inference.LoRA { f(&list[i]); return list })
		}
	}
	r.on = widget.NewCheck("", func(on bool) { change(func(one *inference.LoRA) { one.Off = !on }) })
	remove := part.IconButton(theme.DeleteIcon(), func() {
		l.edit(func(list []inference.LoRA) []inference.LoRA { return slices.Delete(list, i, i+1) })
	})
	r.high = newStrengthInput(tr("expert.high"), func(v float64) { change(func(one *inference.LoRA) { one.High = v }) })
	r.low = newStrengthInput(tr("expert.low"), func(v float64) { change(func(one *inference.LoRA) { one.Low = v }) })
	name := "lora." + strconv.Itoa(i)
	l.w.names[name], l.w.names[name+".remove"] = r.on, remove
	l.w.names[name+".high"], l.w.names[name+".low"] = r.high.slider, r.low.slider
	r.view = part.Column(2, part.Line(0, r.on, part.Spread(r.name), remove), r.high.view, r.low.view)
	return r
}

func (r *loraRow) show(l inference.LoRA) {
	r.setting = true
	r.on.SetChecked(!l.Off)
	r.name.SetText(filepath.Base(l.File))
	r.high.show(l.High)
	r.low.show(l.Low)
	r.setting = false
}

// The ends of the slider of a strength, and its steps; more can be typed on the command line.
const (
	minStrength, maxStrength = -1, 3
	strengthStep             = 0.05
)

// strengthInput is a slider with its label and its number.
type strengthInput struct {
	slider *widget.Slider
	number *part.Text
	view   fyne.CanvasObject
}

func newStrengthInput(label string, changed func(float64)) *strengthInput {
	s := &strengthInput{slider: widget.NewSlider(minStrength, maxStrength), number: part.NewCaption("").Aligned(fyne.TextAlignTrailing)}
	s.slider.Step = strengthStep
	s.slider.OnChanged = func(v float64) {
		v, _ = strconv.ParseFloat(strconv.FormatFloat(v, 'f', 2, 64), 64) // steps are no binary numbers
		changed(v)
	}
	s.view = measures.Row(label, part.Line(8, part.Spread(part.Accented(s.slider)), part.Sized(36, 0, s.number)), nil)
	return s
}

func (s *strengthInput) show(v float64) {
	if at := min(max(v, minStrength), maxStrength); s.slider.Value != at {
		s.slider.SetValue(at)
	}
	s.number.SetText(strconv.FormatFloat(v, 'f', 2, 64))
}
