package ui

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"gimbal/inference/library"
	"gimbal/inference/queue"
	"gimbal/ui/look"
	"gimbal/ui/part"
	"gimbal/ui/studio"
)

// causeWidth fits the smallest window.
const causeWidth = minWidth - 40

// progress is the bar at the bottom: what runs and how far it is, or what a run would
// take, and the buttons that start and end it.
type progress struct {
	w             *Window
	headline      *part.Text
	detail        *part.Text
	cause         *part.Text // why a run failed or does not begin, in full
	memory        *part.Text
	meter         *part.Meter
	queue         *widget.Button
	copy          *widget.Button
	fit           *widget.Button // shown where a run would not fit in memory
	cancel, start *widget.Button
	view          fyne.CanvasObject
}

func newProgress(w *Window) *progress {
	p := &progress{
		w: w, headline: part.NewTitle("").Cut(), detail: part.NewCaption("").Cut(), cause: part.NewNote("", causeWidth), meter: part.NewMeter(),
		memory: part.NewCaption("").Aligned(fyne.TextAlignTrailing),
	}
	p.queue = widget.NewButton("", w.showQueue)
	p.queue.Importance = widget.LowImportance
	p.copy = widget.NewButton(tr("copy_details"), func() { w.app.Clipboard().SetContent(errorDetails(w.now.Run)) })
	p.cancel = widget.NewButton(tr("cancel"), w.cancel)
	p.fit = widget.NewButton(tr("generate.fit"), w.studio.MakeFit)
	p.start = primary(widget.NewButton(tr("generate"), w.generate))
	words := part.Column(3, p.headline, p.detail)
	row := part.Line(8, part.Spread(words), p.memory, p.queue, p.copy, p.fit, p.cancel, part.Sized(108, 0, p.start))
	p.view = container.NewStack(part.Background(look.ColorSidebar, "", 0),
		part.Inset(10, 12, 18, 18, part.Column(9, p.meter, row, p.cause)))
	w.names["generate"], w.names["cancel"], w.names["queue"], w.names["meter"], w.names["copy_details"] = p.start, p.cancel, p.queue, p.meter, p.copy
	w.names["fit"] = p.fit
	return p
}

// show takes over what runs. Where the page has nothing to do with the form, it is seen only while something runs.
func (p *progress) show(s studio.Snapshot) {
	r := s.Run
	setVisible(p.view, p.w.page != pageLive || r.Active())
	setVisible(p.start, p.w.page != pageLive)
	headline, detail, ink := p.idle(s)
	cause := ""
	if f := s.Form; f.Attempted && !f.CanRun && len(f.Problems) > 0 {
		cause = withDetails("", f.Problems[0].Details)
	}
	fill, bar := 0.0, theme.ColorNamePrimary
	failed := r.Phase == queue.Finished && r.Entry.State == library.Failed
	switch {
	case r.Active():
		headline, detail, ink = runHeadline(r), runDetail(r), theme.ColorNameForeground
		fill = r.Fraction
	case failed:
		headline, ink = failureText(r.Entry), theme.ColorNameError
		if cause = withDetails("", r.Entry.Error); r.Entry.Cause == library.Other || r.Entry.Cause == "" {
			headline = tr("notify.failed")
		}
		fill, bar = r.Fraction, theme.ColorNameError
	}
	p.cause.SetText(strings.TrimSpace(cause))
	setVisible(p.cause, p.cause.Text() != "")
	p.headline.SetText(headline)
	p.headline.SetColor(ink)
	p.detail.SetText(detail)
	p.meter.Set(fill, bar)
	p.memory.SetText(memoryText(r))
	setVisible(p.memory, r.Active() && r.Entry.Settings.Server == "")
	setVisible(p.copy, failed)
	setVisible(p.fit, !r.Active() && slices.ContainsFunc(s.Form.Problems, func(p studio.Problem) bool {
		return p.Code == studio.MemoryShort || p.Code == studio.MemoryReloads
	}))
	setVisible(p.cancel, r.Active())
	setEnabled(p.cancel, r.Phase != queue.Cancelling)
	more := len(s.Others) + len(s.Waiting)
	text := tr("queue.waiting", map[string]any{"N": more})
	if len(s.Others) > 0 {
		text = tr("queue.more", map[string]any{"N": more})
	}
	if p.queue.Text != text {
		p.queue.SetText(text)
	}
	setVisible(p.queue, more > 0)
	start := tr("generate")
	if r.Active() {
		start = tr("generate.queue")
	}
	if p.start.Text != start {
		p.start.SetText(start)
	}
}

// idle says what a run would take, or what keeps it from starting.
func (p *progress) idle(s studio.Snapshot) (headline, detail string, ink fyne.ThemeColorName) {
	f := s.Form
	if f.Attempted && !f.CanRun && len(f.Problems) > 0 {
		return problemText(f.Problems[0]), tr("idle.mend"), problemColor(studio.Error)
	}
	detail = join(estimateText(f.Estimate), allText(f), s.Device.Name)
	if s.Device.Error != "" {
		detail = s.Device.Error
	}
	switch r := s.Run; {
	case r.Phase == queue.Finished && r.Entry.State == library.Done:
		return tr("run.done", map[string]any{"Time": duration(r.Elapsed)}), tr("idle.next", map[string]any{"What": detail}), theme.ColorNameForeground
	case r.Phase == queue.Finished && r.Entry.State == library.Cancelled:
		return tr("run.cancelled"), tr("idle.next", map[string]any{"What": detail}), theme.ColorNameForeground
	}
	return tr("idle.ready"), detail, theme.ColorNameForeground
}

func runHeadline(r queue.Run) string {
	if r.Away {
		return tr("run.away", map[string]any{"Server": serverName(r.Entry.Settings.Server)})
	}
	args := map[string]any{
		"Step": r.Step, "Steps": r.Steps, "Next": min(r.Step+1, r.Steps), "Done": bytesText(r.DoneBytes), "Total": bytesText(r.Total),
		"Decoded": r.Decoded, "Frames": r.Frames, "Part": translated("part."+r.Part, r.Part, nil),
	}
	if r.Phase == queue.Waiting && r.Before > 0 {
		return tr("phase.waiting_behind", map[string]any{"Before": r.Before})
	}
	return tr("phase."+string(r.Phase), args)
}

func runDetail(r queue.Run) string {
	var pace, left, expert, preparing string
	if r.StepSeconds > 0 && r.Phase == queue.Sampling {
		pace = tr("run.pace", map[string]any{"Seconds": pretty(r.StepSeconds)})
	}
	if r.Expert != "" && r.Phase == queue.Sampling {
		expert = translated("part."+r.Expert, r.Expert, nil)
	}
	if r.Remaining >= 0 && r.Fraction > 0 {
		left = tr("run.left", map[string]any{"Time": duration(r.Remaining)})
	}
	if n := r.Preparing; n.Done < n.Total {
		preparing = tr("run.preparing", map[string]any{"Done": n.Done, "Total": n.Total, "Time": duration(time.Duration(n.Seconds * float64(time.Second)))})
	}
	return join(left, tr("run.elapsed", map[string]any{"Time": duration(r.Elapsed)}), pace, expert, preparing)
}

// pretty is a number of seconds with as many digits as matter.
func pretty(seconds float64) string {
	if seconds < 10 {
		return fmt.Sprintf("%.2g", math.Max(seconds, 0.01))
	}
	return fmt.Sprintf("%.0f", seconds)
}

func memoryText(r queue.Run) string {
	if r.Memory.Device == 0 && r.Memory.Process == 0 {
		return ""
	}
	return tr("run.memory", map[string]any{"Used": bytesText(max(r.Memory.Device, r.Memory.Process))})
}

func errorDetails(r queue.Run) string { return failureText(r.Entry) + "\n\n" + studio.Details(r) }

// setEnabled lets a control be used, or not.
func setEnabled(b fyne.Disableable, on bool) {
	switch {
	case on && b.Disabled():
		b.Enable()
	case !on && !b.Disabled():
		b.Disable()
	}
}

// generate asks for what the form holds, where that can be seen, on the path that is being edited.
func (w *Window) generate() {
	if w.page == pageLive {
		w.turn(pageCreate)
		return
	}
	generate := w.studio.Generate
	if w.editor != nil {
		if path := w.editor.Path(); w.editor.Changed() {
			generate = func() { w.studio.GenerateOn(path) }
		}
		w.closeEditor() // whoever makes a video wants to see it
	}
	generate()
}

// cancel ends the run under way.
func (w *Window) cancel() {
	if w.now.Run.Active() {
		w.studio.Cancel(w.now.Run.Entry.ID)
	}
}
