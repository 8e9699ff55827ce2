package plan

import (
	"slices"
	"time"

	"gimbal/inference"
)

// Learner compares a run with its plan: it is told the run's events.
type Learner struct {
	plan  inference.Plan
	took  map[string]float64   // seconds by kind of phase
	steps map[string][]float64 // by expert
	last  time.Time            // of the last step; zero where decoding is not what comes after it
}

// NewLearner returns a learner for a run that was planned so.
func NewLearner(p inference.Plan) *Learner {
	return &Learner{plan: p, took: map[string]float64{}, steps: map[string][]float64{}}
}

// Event takes the next event of the run.
func (l *Learner) Event(e inference.Event) {
	switch e := e.(type) {
	case inference.TextEncoded:
		l.took["text"] = e.Seconds
	case inference.PictureEncoded:
		l.took["picture"] = e.Seconds
	case inference.Step:
		l.steps[e.Expert] = append(l.steps[e.Expert], e.Seconds)
		l.last = time.Now()
	case inference.Chunk:
		l.took["picture"] += e.PictureSeconds
		l.took["decode"] += e.DecodeSeconds
		l.last = time.Time{}
	case inference.Saved:
		if !l.last.IsZero() {
			l.took["decode"] = time.Since(l.last).Seconds()
		}
	}
}

// Rates returns r, which the plan's times were made with, corrected by what the run
// took. An expert's first step, which prepares, and runs of fewer than three steps say
// little and are left out.
func (l *Learner) Rates(r Rates) Rates {
	for _, phase := range l.plan.Phases {
		likely := phase.Time.Likely.Seconds()
		kind := phase.Kind()
		if seconds, ok := l.took[kind]; ok {
			r = r.Learn(kind, likely, seconds)
			continue
		}
		if kind != "sample" {
			continue
		}
		for expert, steps := range l.steps {
			if phase.Name == kind+" "+expert && len(steps) > 3 {
				steps = slices.Sorted(slices.Values(steps[1:]))
				r = r.Learn(kind, likely/float64(phase.Times), steps[len(steps)/2])
			}
		}
	}
	return r
}
