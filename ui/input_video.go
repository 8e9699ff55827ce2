package ui

import (
	"fmt"
	"slices"
	"strconv"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/widget"

	"gimbal/inference"
	"gimbal/ui/look"
	"gimbal/ui/part"
	"gimbal/ui/studio"
)

// sizes are the areas that are offered; any other can be typed.
var sizes = []string{"832x480", "672x384", "480x272", "208x128"}

// The ends of the sliders; more can be typed.
const (
	maxSliderFrames = 161
	maxSliderSteps  = 70
)

// videoInput is the section of what is made and how long it takes.
type videoInput struct {
	frames, steps *numberInput
	size          *field
	lock          *widget.Button
	quant         *part.Segmented
	variations    *part.Segmented
	against       *againstInput
	reason        *part.Hint
	summary       *part.Text
	view          fyne.CanvasObject
}

func newVideoInput(w *Window, f *form) *videoInput {
	v := &videoInput{summary: part.NewCaption("")}
	v.frames = newNumberInput(f, studio.FieldFrames, inference.Wan.FrameStride, maxSliderFrames)
	v.steps = newNumberInput(f, studio.FieldSteps, 1, maxSliderSteps)
	size := widget.NewSelectEntry(sizes)
	v.size = f.bind(&size.Entry, studio.FieldSize)
	seed, dice := f.field(studio.FieldSeed), part.IconButton(look.IconDice, w.studio.NewSeed)
	v.lock = part.IconButton(look.IconUnlock, func() { w.studio.LockSeed(!w.now.Form.Inputs.SeedLocked) })
	v.quant = f.segmented(studio.FieldQuant, tr("quant.none"), "BF16", "INT8", "NF4")
	v.variations = part.NewSegmented(variationWords(), func(i int) { w.studio.SetVariations(variations[i]) })
	v.against = newAgainstInput(w)
	v.reason = part.NewHint(columnWidth - labelWidth).Indented(labelWidth)
	v.view = measures.Section(tr("video"), v.summary,
		f.row(studio.FieldFrames, v.frames.view),
		f.row(studio.FieldSteps, v.steps.view),
		f.row(studio.FieldSize, size),
		f.row(studio.FieldQuant, v.quant),
		v.reason,
		f.row(studio.FieldSeed, part.Line(2, part.Spread(seed.Entry), dice, v.lock)),
		measures.Row(tr("variations"), v.variations, nil),
		v.against.view,
	)
	w.names["variations"] = v.variations
	w.names["frame_num.slider"], w.names["max_area"] = v.frames.slider, size
	w.names["seed.dice"], w.names["seed.lock"] = dice, v.lock
	return v
}

// variations are how many videos of one form are offered, each with a seed of its own.
var variations = []int{1, 2, 3, 4, 6, 9}

func variationWords() (words []string) {
	for _, n := range variations {
		words = append(words, strconv.Itoa(n))
	}
	return words
}

func (v *videoInput) show(s studio.Snapshot) {
	f := s.Form
	v.variations.SetSelected(slices.Index(variations, max(1, f.Inputs.Variations)))
	v.against.show(f)
	v.frames.show(f.Inputs.Job.Frames)
	v.steps.show(f.Inputs.Job.Steps)
	if f.Width > 0 && v.size.Text == strconv.Itoa(f.Inputs.Job.MaxArea) {
		v.size.set(fmt.Sprintf("%dx%d", f.Width, f.Height)) // of a preset: no person thinks in areas
	}
	v.showLock(s)
	v.showUnsupported(s)
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

// showUnsupported says which quantisations this device cannot run, and why.
func (v *videoInput) showUnsupported(s studio.Snapshot) {
	var reasons []string
	for i, q := range []inference.Quant{inference.QuantNone, inference.QuantBF16, inference.QuantINT8, inference.QuantNF4} {
		why, no := s.Device.Unsupported[q]
		v.quant.SetDisabled(i, no)
		if no && !slices.Contains(reasons, why) {
			reasons = append(reasons, why)
		}
	}
	v.reason.Set(look.ColorSecondary, reasons...)
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

func newNumberInput(f *form, name studio.Field, stride, high int) *numberInput {
	n := &numberInput{stride: stride, entry: f.field(name), slider: widget.NewSlider(0, float64((high-1)/stride))}
	n.slider.OnChanged = func(v float64) {
		if n.setting {
			return
		}
		text := strconv.Itoa(int(v)*stride + 1)
		n.entry.set(text)
		f.w.studio.Edit(name, text)
	}
	n.view = part.Line(8, part.Spread(part.Accented(n.slider)), part.Sized(56, 0, n.entry.Entry))
	return n
}

func (n *numberInput) show(value int) {
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
