package bench

import (
	"context"
	"fmt"
	"math"
	"slices"

	"gimbal/inference"
)

// CachesRow is what a cache costs and gives, against the run without one.
type CachesRow struct {
	Cache        string  `json:"cache"`         // the setting of Trial; "" for the run without
	Value        string  `json:"value"`         // of the setting
	Passes       int     `json:"passes"`        // of the experts that were computed
	StepsSeconds float64 `json:"steps_seconds"` // of all steps
	Faster       float64 `json:"faster"`        // as a multiple of the first row's rate
	PSNR         float64 `json:"video_psnr_db"`
	SSIM         float64 `json:"video_ssim"`
	Motion       float64 `json:"motion"`      // mean of what a value changes by from frame to frame
	MotionKept   float64 `json:"motion_kept"` // as a part of the first row's
	Frozen       bool    `json:"frozen"`      // the picture moves far less than it should, or not at all
}

// String names the row as the command line does.
func (r CachesRow) String() string {
	if r.Cache == "" {
		return "none"
	}
	return r.Cache + " " + r.Value
}

// Trial is a cache to measure: its setting and the value of that.
type Trial struct {
	Cache string `json:"cache"`
	Value string `json:"value"`
}

// CachesSettings are what Caches was asked for.
type CachesSettings struct {
	Trials []Trial `json:"trials"`
	Steps  int     `json:"sample_steps"`
	Frames int     `json:"frames"`
	Width  int     `json:"width"`
	Height int     `json:"height"`
	// Recommended is the fastest of the trials that is as good as leastPSNR and keeps its motion;
	// nil for none.
	Recommended *Trial `json:"recommended"`
}

// What a cache has to keep so that it can be recommended: a video that is nearly the one without
// it, and that moves as much within a fifth.
const (
	leastPSNR   = 30
	leastMotion = 0.8
	mostMotion  = 1.25
	frozen      = 0.6 // of the motion
)

// Caches makes the same video without a cache and with each of the trials, by o.Job's steps. A
// checkpoint that is not calibrated, as some caches need it, is calibrated for the report only.
func Caches(ctx context.Context, o Options, trials []Trial) (*Report, error) {
	dev, err := o.Open()
	if err != nil {
		return nil, err
	}
	defer dev.Close()
	f, err := o.folder(ctx)
	if err != nil {
		return nil, err
	}
	defer f.remove()
	report := o.begin("caches", dev.Info())
	s := CachesSettings{Trials: trials, Steps: o.Job.Steps}
	made, err := f.calibrateFor(ctx, o, dev, trials)
	if err != nil {
		return nil, err
	}
	if made {
		report.Notes = append(report.Notes, "the checkpoint was calibrated for this report only: gimbal bench calibrate keeps a calibration")
	}
	var rows []CachesRow
	var plain *result
	for _, trial := range append([]Trial{{}}, trials...) {
		job := o.Job
		job.Caches = inference.Caches{}
		if trial.Cache != "" {
			if err := inference.FindSetting(trial.Cache).Set(&job, trial.Value); err != nil {
				return nil, err
			}
		}
		row := CachesRow{Cache: trial.Cache, Value: trial.Value}
		o.Progress(row.String())
		r, err := f.run(ctx, o, inference.QuantNone, job)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", row, err)
		}
		if plain == nil {
			plain = r
		}
		rows = append(rows, row.measured(r, plain, rows))
		s.Frames, s.Width, s.Height = r.prepared.Frames, r.prepared.Width, r.prepared.Height
	}
	s.Recommended = recommended(rows)
	report.Settings, report.Rows = s, rows
	report.Notes = append(report.Notes, recommendation(rows, s.Recommended))
	report.showCaches(s, rows)
	return report.end(), nil
}

// measured returns the row with what its run gave, beside the one without a cache.
func (row CachesRow) measured(r, plain *result, rows []CachesRow) CachesRow {
	p := r.prepared
	row.Passes, row.Faster, row.MotionKept = r.passes, 1, 1
	row.PSNR, row.SSIM, row.Motion = PSNR(r.video, plain.video), ssim(r.video, plain.video, p.Frames, p.Height, p.Width), motion(r.video, p.Frames)
	for _, seconds := range r.steps {
		row.StepsSeconds += seconds
	}
	if len(rows) > 0 {
		row.Faster = rows[0].StepsSeconds / row.StepsSeconds
		if rows[0].Motion > 0 {
			row.MotionKept = row.Motion / rows[0].Motion
		}
		row.Frozen = row.MotionKept < frozen
	}
	return row
}

// recommended returns the fastest row that is good enough, nil for none.
func recommended(rows []CachesRow) (best *Trial) {
	faster := 1.0
	for _, r := range rows[1:] {
		if r.PSNR >= leastPSNR && r.MotionKept >= leastMotion && r.MotionKept <= mostMotion && r.Faster > faster {
			faster, best = r.Faster, &Trial{r.Cache, r.Value}
		}
	}
	return best
}

func recommendation(rows []CachesRow, best *Trial) string {
	text := fmt.Sprintf("none is recommended: none is faster with at least %d dB and as much motion", leastPSNR)
	if best != nil {
		text = fmt.Sprintf("--%s %s is recommended: the fastest with at least %d dB and as much motion", best.Cache, best.Value, leastPSNR)
	}
	if i := slices.IndexFunc(rows, func(r CachesRow) bool { return r.Frozen }); i >= 0 {
		text += fmt.Sprintf("; with %s and its like the picture freezes: %.0f %% of the motion is left", rows[i], 100*rows[i].MotionKept)
	}
	return text + "; it holds for this model, number of steps and picture"
}

func (r *Report) showCaches(s CachesSettings, rows []CachesRow) {
	t := Table{
		Title:  fmt.Sprintf("caches, %d steps of %d frames at %dx%d", s.Steps, s.Frames, s.Width, s.Height),
		Header: []string{"cache", "passes", "all steps", "faster", "PSNR (dB)", "SSIM", "motion kept"},
	}
	var labels []string
	var faster, kept []float64
	for _, row := range rows {
		motion := fmt.Sprintf("%.0f %%", 100*row.MotionKept)
		if row.Frozen {
			motion += ", FROZEN"
		}
		t.Rows = append(t.Rows, []string{row.String(), fmt.Sprint(row.Passes), duration(row.StepsSeconds), fmt.Sprintf("%.2f", row.Faster), fmt.Sprintf("%.1f", row.PSNR), fmt.Sprintf("%.3f", row.SSIM), motion})
		labels, faster, kept = append(labels, row.String()), append(faster, row.Faster), append(kept, row.MotionKept)
	}
	r.Tables = []Table{t}
	r.panels = []panel{bars("times as fast", labels, faster), bars("motion kept", labels, kept)}
}

// motion returns the mean of what the values of a video [3 frames height width] change by from one
// frame to the next.
func motion(video []float32, frames int) float64 {
	const colours = 3
	size := len(video) / (colours * max(1, frames))
	var sum float64
	n := 0
	for c := range colours {
		for f := 1; f < frames; f++ {
			at := (c*frames + f) * size
			for i := at; i < at+size; i++ {
				sum += math.Abs(float64(video[i]) - float64(video[i-size]))
			}
			n += size
		}
	}
	return sum / float64(max(1, n))
}

// ssim returns the mean structural similarity of the luma of two videos [3 frames height width] in
// [-1, 1], over windows of 8x8 pixels, 4 apart (Wang et al., "Image quality assessment: from error
// visibility to structural similarity", 2004, equation 13).
func ssim(got, want []float32, frames, height, width int) float64 {
	const window, stride, peak = 8, 4, 255.0
	const c1, c2 = (0.01 * peak) * (0.01 * peak), (0.03 * peak) * (0.03 * peak)
	size := height * width
	luma := func(video []float32, frame, i int) float64 {
		at := func(c int) float64 { return float64(video[(c*frames+frame)*size+i]+1) / 2 * peak }
		return 0.299*at(0) + 0.587*at(1) + 0.114*at(2)
	}
	var sum float64
	n := 0
	for f := range frames {
		for y := 0; y+window <= height; y += stride {
			for x := 0; x+window <= width; x += stride {
				var a, b, aa, bb, ab float64
				for i := range window * window {
					at := (y+i/window)*width + x + i%window
					p, q := luma(got, f, at), luma(want, f, at)
					a, b, aa, bb, ab = a+p, b+q, aa+p*p, bb+q*q, ab+p*q
				}
				const area = window * window
				a, b = a/area, b/area
				va, vb, cov := aa/area-a*a, bb/area-b*b, ab/area-a*b
				sum += (2*a*b + c1) * (2*cov + c2) / ((a*a + b*b + c1) * (va + vb + c2))
				n++
			}
		}
	}
	return sum / float64(max(1, n))
}
