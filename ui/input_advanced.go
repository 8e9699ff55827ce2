package ui

import (
	"slices"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/widget"

	"gimbal/inference/denoise"
	"gimbal/inference/noise"
	"gimbal/ui/part"
	"gimbal/ui/studio"
)

// advancedInput is the section of what most people leave as it is.
type advancedInput struct {
	entries  []*field
	solver   *part.Segmented
	noise    *part.Segmented
	offload  *widget.Check
	setting  bool
	negative *part.Text
	view     *part.Disclosure
}

var (
	solvers = []string{denoise.UniPC, denoise.DPMPP}
	noises  = []string{string(noise.KindCUDA), string(noise.KindCPU)}
)

func newAdvancedInput(w *Window, h *hints) *advancedInput {
	a := &advancedInput{negative: part.NewCaption("")}
	entry := func(name studio.Field) *field {
		f := newField(w.studio, name, h)
		a.entries = append(a.entries, f)
		w.names[string(name)] = f.Entry
		return f
	}
	row := func(name studio.Field) fyne.CanvasObject {
		return measures.Row(tr(string(name)), entry(name).Entry, h.row(name))
	}
	negative := newTextField(w.studio, studio.FieldNegative, h)
	a.entries = append(a.entries, negative)
	w.names["negative"] = negative.Entry
	a.solver = part.NewSegmented([]string{"UniPC", "DPM++"}, func(i int) { w.studio.Edit(studio.FieldSolver, solvers[i]) })
	a.noise = part.NewSegmented([]string{"CUDA", "CPU"}, func(i int) { w.studio.Edit(studio.FieldNoise, noises[i]) })
	a.offload = widget.NewCheck(tr("offload.on"), func(on bool) {
		if !a.setting {
			w.studio.SetOffload(on)
		}
	})
	guidance := container.NewGridWithColumns(2, entry(studio.FieldGuidanceHigh).Entry, entry(studio.FieldGuidanceLow).Entry)
	half := func(text string) fyne.CanvasObject { return part.NewCaption(text) }
	content := part.Column(8,
		part.Line(0, part.NewText(tr("negative_prompt")), part.Spread(part.Gap(0, 0)), a.negative),
		negative.Entry, h.add(studio.FieldNegative, columnWidth),
		measures.Row(tr("solver"), a.solver, h.row(studio.FieldSolver)),
		measures.Row(tr("guidance"), guidance, h.row(studio.FieldGuidanceHigh)),
		part.Inset(-4, 0, labelWidth, 0, container.NewGridWithColumns(2, half(tr("expert.high")), half(tr("expert.low")))),
		h.row(studio.FieldGuidanceLow).Indented(labelWidth),
		row(studio.FieldShift), row(studio.FieldBoundary), row(studio.FieldFPS),
		measures.Row(tr("noise"), a.noise, h.row(studio.FieldNoise)),
		row(studio.FieldVAEChunk), row(studio.FieldVAEThreshold),
		measures.Row(tr("offload"), a.offload, nil),
		part.NewNote(tr("offload.hint"), columnWidth),
	)
	a.view = part.NewDisclosure(tr("advanced"), content)
	w.names["advanced"], w.names["solver"] = a.view.Button(), a.solver
	return a
}

func (a *advancedInput) show(s studio.Snapshot) {
	for _, e := range a.entries {
		e.show(s.Form)
	}
	in := s.Form.Inputs
	a.solver.SetSelected(slices.Index(solvers, in.Solver))
	a.noise.SetSelected(slices.Index(noises, string(in.Noise)))
	if a.offload.Checked != in.Offload {
		a.setting = true
		a.offload.SetChecked(in.Offload)
		a.setting = false
	}
	showTokens(a.negative, s.Form.NegativeTokens)
}
