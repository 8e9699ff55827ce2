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
	EasyCache    float64 `json:"easycache"`     // threshold; 0 for no cache
	Passes       int     `json:"passes"`        // of the experts that were computed
	StepsSeconds float64 `json:"steps_seconds"` // of all steps
	Faster       float64 `json:"faster"`        // as a multiple of the first row's rate
	PSNR         float64 `json:"video_psnr_db"`
	SSIM         float64 `json:"video_ssim"`
	Motion       float64 `json:"motion"`      // mean of what a value changes by from frame to frame
	MotionKept   float64 `json:"motion_kept"` // as a part of the first row's
	Frozen       bool    `json:"frozen"`      // the picture moves far less than it should, or not at all
}

// CachesSettings are what Caches was asked for.
type CachesSettings struct {
	Thresholds []float64 `json:"thresholds"`
	First      int       `json:"first"` // steps that are always computed
	Steps      int       `json:"sample_steps"`
	Frames     int       `json:"frames"`
	Width      int       `json:"width"`
	Height     int       `json:"height"`
	// Recommended is the threshold of the fastest row that is as good as leastPSNR and keeps its
	// motion; 0 for none.
	Recommended float64 `json:"recommended"`
}

// What a cache has to keep so that it can be recommended: a video that is nearly the one without
// it, and that moves as much within a fifth.
const (
	leastPSNR   = 30
	leastMotion = 0.8
	mostMotion  = 1.25
	frozen      = 0.6 // of the motion
)

// Caches makes the same video without a cache and with EasyCache at each of the thresholds, by
// o.Job's steps, of which the first are always computed.
func Caches(ctx context.Context, o Options, thresholds []float64, first int) (*Report, error) {
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
	s := CachesSettings{Thresholds: thresholds, First: first, Steps: o.Job.Steps}
	var rows []CachesRow
	var plain *result
	for _, threshold := range append([]float64{0}, thresholds...) {
		job := o.Job
		job.EasyCache = inference.EasyCache{}
		if threshold > 0 {
			job.EasyCache = inference.EasyCache{Threshold: threshold, First: first}
		}
		o.Progress(fmt.Sprintf("EasyCache at %g", threshold))
		r, err := f.run(ctx, o, inference.QuantNone, job)
		if err != nil {
			return nil, fmt.Errorf("EasyCache at %g: %w", threshold, err)
		}
		if plain == nil {
			plain = r
		}
		rows = append(rows, cachesRow(threshold, r, plain, rows))
		s.Frames, s.Width, s.Height = r.prepared.Frames, r.prepared.Width, r.prepared.Height
	}
	s.Recommended = recommended(rows)
	report.Settings, report.Rows = s, rows
	report.Notes = append(report.Notes, recommendation(rows, s))
	report.showCaches(s, rows)
	return report.end(), nil
}

func cachesRow(threshold float64, r, plain *result, rows []CachesRow) CachesRow {
	p := r.prepared
	row := CachesRow{EasyCache: threshold, Passes: r.passes, PSNR: PSNR(r.video, plain.video), SSIM: ssim(r.video, plain.video, p.Frames, p.Height, p.Width), Motion: motion(r.video, p.Frames), Faster: 1, MotionKept: 1}
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

// recommended returns the threshold of the fastest row that is good enough, 0 for none.
func recommended(rows []CachesRow) (threshold float64) {
	best := 1.0
	for _, r := range rows[1:] {
		if r.PSNR >= leastPSNR && r.MotionKept >= leastMotion && r.MotionKept <= mostMotion && r.Faster > best {
			best, threshold = r.Faster, r.EasyCache
		}
	}
	return threshold
}

func recommendation(rows []CachesRow, s CachesSettings) string {
	text := fmt.Sprintf("--easycache %g,%d is recommended: the fastest with at least %d dB and as much motion", s.Recommended, s.First, leastPSNR)
	if s.Recommended == 0 {
		text = fmt.Sprintf("none is recommended: none is faster with at least %d dB and as much motion", leastPSNR)
	}
	if i := slices.IndexFunc(rows, func(r CachesRow) bool { return r.Frozen }); i >= 0 {
		text += fmt.Sprintf("; at %g and its like the picture freezes: %.0f %% of the motion is left", rows[i].EasyCache, 100*rows[i].MotionKept)
	}
	return text + "; it holds for this model, number of steps and picture"
}

func (r *Report) showCaches(s CachesSettings, rows []CachesRow) {
	t := Table{
		Title:  fmt.Sprintf("EasyCache, %d steps of %d frames at %dx%d, the first %d always computed", s.Steps, s.Frames, s.Width, s.Height, s.First),
		Header: []string{"threshold", "passes", "all steps", "faster", "PSNR (dB)", "SSIM", "motion kept"},
	}
	var labels []string
	var faster, kept []float64
	for _, row := range rows {
		label := fmt.Sprint(row.EasyCache)
		if row.EasyCache == 0 {
			label = "none"
		}
		motion := fmt.Sprintf("%.0f %%", 100*row.MotionKept)
		if row.Frozen {
			motion += ", FROZEN"
		}
		t.Rows = append(t.Rows, []string{label, fmt.Sprint(row.Passes), duration(row.StepsSeconds), fmt.Sprintf("%.2f", row.Faster), fmt.Sprintf("%.1f", row.PSNR), fmt.Sprintf("%.3f", row.SSIM), motion})
		labels, faster, kept = append(labels, label), append(faster, row.Faster), append(kept, row.MotionKept)
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
