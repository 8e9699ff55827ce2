package bench

import (
	"context"
	"fmt"
	"slices"

	"gimbal/inference/weights"
)

// StepsRow is what a clip of so many frames takes.
type StepsRow struct {
	Frames         int     `json:"frames"`
	Tokens         int     `json:"tokens"` // of an attention
	TextSeconds    float64 `json:"text_seconds"`
	PictureSeconds float64 `json:"picture_seconds"`
	PrepareSeconds float64 `json:"prepare_seconds"` // once a run, in its first step
	StepSeconds    float64 `json:"step_seconds"`    // both guidance passes
	BlockSeconds   float64 `json:"block_seconds"`   // of a step's seconds, those in transformer blocks
	DecodeSeconds  float64 `json:"decode_seconds"`
	TotalSeconds   float64 `json:"total_seconds"` // of the steps that were run
	WorkingBytes   int64   `json:"working_bytes"`
}

// StepsSettings are what Steps was asked for.
type StepsSettings struct {
	Frames []int  `json:"frames"`
	Steps  int    `json:"sample_steps"`
	Width  int    `json:"width"`
	Height int    `json:"height"`
	Quant  string `json:"quant"`
}

// guideSteps are the steps of a clip that the Python port's guide counts with.
const guideSteps = 20

// Steps makes a clip of each of the given lengths, by o.Job's steps, with weights of
// a kind.
func Steps(ctx context.Context, o Options, frames []int, kind weights.Quant) (*Report, error) {
	dev, err := o.Open()
	if err != nil {
		return nil, err
	}
	defer dev.Close()
	f, err := o.lasting(slices.Max(frames)).folder(ctx) // with a camera path that is long enough
	if err != nil {
		return nil, err
	}
	defer f.remove()
	report := o.begin("steps", dev.Info())
	var rows []StepsRow
	settings := StepsSettings{Steps: o.Job.Steps, Quant: kind.String()}
	for _, n := range frames {
		o.Progress(fmt.Sprintf("%d frames", n))
		r, err := f.run(ctx, o, kind, o.lasting(n).Job)
		if err != nil {
			return nil, fmt.Errorf("%d frames: %w", n, err)
		}
		row := stepsRow(r)
		rows = append(rows, row)
		settings.Frames = append(settings.Frames, row.Frames)
		settings.Width, settings.Height = r.prepared.Width, r.prepared.Height
		report.Totals = append(report.Totals, stepTotals(o.Dims, row, o.Job.Steps)...)
	}
	report.Settings, report.Rows = settings, rows
	if o.Dims != nil {
		report.Notes = append(report.Notes, "the text encoder is the demo model's, which is small")
	}
	report.showSteps(settings, rows)
	return report.end(), nil
}

// lasting returns o for clips of some frames.
func (o Options) lasting(frames int) Options {
	o.Job.Frames, o.Job.ActionPath = frames, ""
	if o.Dims != nil {
		d := *o.Dims
		d.Frames = frames
		o.Dims = &d
	}
	return o
}

func stepsRow(r *result) StepsRow {
	step, blocks := r.step()
	row := StepsRow{
		Frames: r.prepared.Frames, Tokens: r.tokens(), TextSeconds: r.text, PictureSeconds: r.picture,
		PrepareSeconds: r.once(), StepSeconds: step, BlockSeconds: blocks, DecodeSeconds: r.decode, WorkingBytes: r.working,
	}
	row.TotalSeconds = r.text + r.picture + r.decode
	for _, s := range r.steps {
		row.TotalSeconds += s
	}
	return row
}

// stepTotals works out runs of the guide's number of steps, and of all layers where
// a few were run.
func stepTotals(d *Dims, r StepsRow, ran int) []Total {
	times := 1.0
	how := fmt.Sprintf("from %d steps", ran)
	name := fmt.Sprintf("%d frames, %d steps", r.Frames, guideSteps)
	if d.part() {
		times = float64(realLayers) / float64(d.Layers)
		how += fmt.Sprintf(", and what lies in transformer blocks times %d/%d", realLayers, d.Layers)
		name += fmt.Sprintf(", %d layers", realLayers)
	}
	step := r.StepSeconds + (times-1)*r.BlockSeconds
	once := r.PrepareSeconds * times
	return []Total{
		{name + ": a step", step, "s", times != 1, how},
		{name + ": the whole run", (r.TextSeconds + r.PictureSeconds + once + guideSteps*step + r.DecodeSeconds) / 60, "min",
			times != 1 || ran != guideSteps, how},
	}
}

func (r *Report) showSteps(s StepsSettings, rows []StepsRow) {
	t := Table{
		Title:  fmt.Sprintf("%d steps at %dx%d, weights: %s", s.Steps, s.Width, s.Height, s.Quant),
		Header: []string{"frames", "tokens", "text", "picture", "prepare", "a step", "decode", "total", "working memory"},
	}
	var labels []string
	var step, decode []float64
	for _, row := range rows {
		t.Rows = append(t.Rows, []string{
			fmt.Sprint(row.Frames), fmt.Sprint(row.Tokens), duration(row.TextSeconds), duration(row.PictureSeconds),
			duration(row.PrepareSeconds), duration(row.StepSeconds), duration(row.DecodeSeconds), duration(row.TotalSeconds), size(row.WorkingBytes),
		})
		labels = append(labels, fmt.Sprintf("%d frames", row.Frames))
		step, decode = append(step, row.StepSeconds), append(decode, row.DecodeSeconds)
	}
	r.Tables = []Table{t}
	r.panels = []panel{bars("a step (seconds)", labels, step), bars("VAE decode and video file (seconds)", labels, decode)}
}
