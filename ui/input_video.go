package ui

import (
	"fmt"
	"slices"
	"strconv"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"gimbal/inference/weights"
	"gimbal/ui/look"
	"gimbal/ui/part"
	"gimbal/ui/studio"
)

// quants are the ways to keep weights, in the order in which they are offered.
var quants = []weights.Quant{{Format: weights.AsStored}, {Format: weights.INT8}, {Format: weights.NF4}}

// sizes are the areas that are offered; any other can be typed.
var sizes = []string{"832x480", "672x384", "480x272", "208x128"}

// The ends of the sliders; more can be typed.
const (
	maxSliderFrames = 161
	maxSliderSteps  = 70
	frameStride     = 4 // frames are 4n+1
)

// videoInput is the section of what is made and how long it takes.
type videoInput struct {
	frames, steps *numberInput
	size          *field
	sizes         *widget.SelectEntry
	seed          *field
	dice, lock    *widget.Button
	quant         *part.Segmented
	reason        *part.Hint
	summary       *part.Text
	view          fyne.CanvasObject
}

func newVideoInput(w *Window, h *hints) *videoInput {
	v := &videoInput{summary: part.NewCaption("")}
	v.frames = newNumberInput(w.studio, studio.FieldFrames, h, frameStride, maxSliderFrames)
	v.steps = newNumberInput(w.studio, studio.FieldSteps, h, 1, maxSliderSteps)
	v.sizes = widget.NewSelectEntry(sizes)
	v.size = bindField(&v.sizes.Entry, w.studio, studio.FieldSize, h)
	v.seed = newField(w.studio, studio.FieldSeed, h)
	v.dice = part.IconButton(look.IconDice, w.studio.RollSeed)
	v.lock = part.IconButton(look.IconUnlock, func() { w.studio.LockSeed(!w.now.Form.Inputs.SeedLocked) })
	v.quant = part.NewSegmented([]string{tr("quant.none"), "INT8", "NF4"}, func(i int) { w.studio.SetQuant(quants[i]) })
	v.reason = part.NewHint(columnWidth - labelWidth).Indented(labelWidth)
	v.view = measures.Section(tr("video"), v.summary,
		measures.Row(tr("frames"), v.frames.view, h.row(studio.FieldFrames)),
		measures.Row(tr("steps"), v.steps.view, h.row(studio.FieldSteps)),
		measures.Row(tr("size"), v.sizes, h.row(studio.FieldSize)),
		measures.Row(tr("weights"), v.quant, h.row(studio.FieldQuant)),
		v.reason,
		measures.Row(tr("seed"), part.Line(2, part.Spread(v.seed.Entry), v.dice, v.lock), h.row(studio.FieldSeed)),
	)
	w.names["frames"], w.names["frames.slider"], w.names["steps"] = v.frames.entry.Entry, v.frames.slider, v.steps.entry.Entry
	w.names["size"], w.names["quant"], w.names["seed"] = v.sizes, v.quant, v.seed.Entry
	w.names["seed.dice"], w.names["seed.lock"] = v.dice, v.lock
	return v
}

func (v *videoInput) show(s studio.Snapshot) {
	f := s.Form
	v.frames.show(f, f.Inputs.Frames)
	v.steps.show(f, f.Inputs.Steps)
	v.size.show(f)
	if f.Width > 0 && v.size.Text == strconv.Itoa(f.Inputs.MaxArea) {
		v.size.set(fmt.Sprintf("%dx%d", f.Width, f.Height)) // of a preset: no person thinks in areas
	}
	v.seed.show(f)
	v.showLock(s)
	v.showQuant(s)
	size := ""
	if f.Width > 0 {
		size = fmt.Sprintf("%d × %d", f.Width, f.Height)
	}
	v.summary.SetText(join(size, tr("video.length", map[string]any{"Frames": f.Frames, "Seconds": fmt.Sprintf("%.1f", f.Seconds)})))
}

func (v *videoInput) showLock(s studio.Snapshot) {
	icon, locked := look.IconUnlock, s.Form.Inputs.SeedLocked
	if locked {
		icon = look.IconLock
	}
	if v.lock.Icon != icon {
		v.lock.SetIcon(icon)
	}
}

// showQuant says which quantisations this device cannot run, and why.
func (v *videoInput) showQuant(s studio.Snapshot) {
	var reasons []string
	for i, q := range quants {
		why, no := s.Device.Unsupported[q.Format]
		v.quant.SetDisabled(i, no && q.Enabled())
		if no && q.Enabled() && !slices.Contains(reasons, why) {
			reasons = append(reasons, why)
		}
	}
	v.reason.Set(look.ColorSecondary, reasons...)
	kind := s.Form.Inputs.Quant.Format
	v.quant.SetSelected(max(0, slices.IndexFunc(quants, func(q weights.Quant) bool { return q.Format == kind })))
}

// numberInput is a slider with an entry for the same number. The slider counts
// strides from 1 on: Fyne's own steps are counted from 0.
type numberInput struct {
	stride  int
	entry   *field
	slider  *widget.Slider
	setting bool
	view    fyne.CanvasObject
}

func newNumberInput(s Studio, name studio.Field, h *hints, stride, high int) *numberInput {
	n := &numberInput{stride: stride, entry: newField(s, name, h), slider: widget.NewSlider(0, float64((high-1)/stride))}
	n.slider.OnChanged = func(v float64) {
		if n.setting {
			return
		}
		text := strconv.Itoa(int(v)*stride + 1)
		n.entry.set(text)
		s.Edit(name, text)
	}
	n.view = part.Line(8, part.Spread(part.Accented(n.slider)), part.Sized(56, 0, n.entry.Entry))
	return n
}

func (n *numberInput) show(f studio.Form, value int) {
	n.entry.show(f)
	if at := min(max(float64((value-1)/n.stride), 0), n.slider.Max); n.slider.Value != at {
		n.setting = true
		n.slider.SetValue(at)
		n.setting = false
	}
}

// setVisible shows or hides an object, if it is not so already.
func setVisible(o fyne.CanvasObject, on bool) {
	switch {
	case on && !o.Visible():
		o.Show()
	case !on && o.Visible():
		o.Hide()
	}
}

// primary is the look of the one button that is most likely wanted.
func primary(b *widget.Button) *widget.Button {
	b.Importance = widget.HighImportance
	return b
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
