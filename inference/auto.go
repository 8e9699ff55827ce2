package inference

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"gimbal/inference/plan"
	"gimbal/inference/weights"
)

// setting is what PlanAuto may change.
type setting struct {
	job   Job
	quant weights.Quant
}

// lever is a change of settings that saves memory.
type lever struct {
	flag, value string
	harm        string // what it costs
	pull        func(*setting) bool
}

// levers lists them in order of harm: first those that change no number, then those
// that change them a little.
var levers = []lever{
	{"VAE_CHUNK_SIZE", "1", "the VAE fills a large device less well", func(s *setting) bool {
		was := s.job.VAEChunk == 1 && s.job.VAEChunkThreshold == 0
		s.job.VAEChunk, s.job.VAEChunkThreshold = 1, 0
		return !was
	}},
	{"no_reuse", "camera", "every pass computes the camera's branch again", func(s *setting) bool {
		was := s.job.Reuse.Camera
		s.job.Reuse.Camera = false
		return was
	}},
	{"quant", "int8", "weights are rounded to 8 bits", func(s *setting) bool {
		was := s.quant.Enabled()
		s.quant = weights.Quant{Format: weights.INT8}
		return !was
	}},
	{"quant", "nf4", "weights are rounded to 4 bits", func(s *setting) bool {
		was := s.quant.Format == weights.NF4
		s.quant = weights.Quant{Format: weights.NF4}
		return !was
	}},
	tileLever(512), tileLever(384), tileLever(256), tileLever(128),
}

// tileLever cuts the VAE's pictures into tiles of a side.
func tileLever(side int) lever {
	return lever{"vae_tile", fmt.Sprint(side), "the VAE sees a part of the picture at a time", func(s *setting) bool {
		was := s.job.VAETile
		s.job.VAETile = side
		return was == 0 || was > side
	}}
}

// tuner finds settings that fit.
type tuner struct {
	of     func(setting) (plan.Plan, error)
	excess func(plan.Plan) int64 // bytes over the limit, of all phases together; 0 for a plan that fits
	levers []lever
}

// tune pulls levers as long as the plan does not fit: it keeps those that help, and in
// the end lets go of the ones that later ones made needless.
func (t tuner) tune(s setting, p plan.Plan) (setting, plan.Plan, []lever, error) {
	start, pulled := s, []lever{}
	for _, l := range t.levers {
		if t.excess(p) == 0 {
			break
		}
		next := s
		if !l.pull(&next) {
			continue
		}
		q, err := t.of(next)
		if err != nil {
			return s, p, nil, err
		}
		if t.excess(q) < t.excess(p) {
			s, p, pulled = next, q, append(pulled, l)
		}
	}
	for i := 0; i < len(pulled); i++ {
		rest := append(append([]lever{}, pulled[:i]...), pulled[i+1:]...)
		less := start
		for _, l := range rest {
			l.pull(&less)
		}
		q, err := t.of(less)
		if err != nil {
			return s, p, nil, err
		}
		if t.excess(q) <= t.excess(p) {
			s, p, pulled = less, q, rest
			i--
		}
	}
	return s, p, pulled, nil
}

// overAll is how much the phases are over the limit with their weights, overPeak
// without.
func overAll(p plan.Plan) int64  { return over(p, plan.Phase.Resident) }
func overPeak(p plan.Plan) int64 { return over(p, plan.Phase.Memory) }

func over(p plan.Plan, of func(plan.Phase) int64) (excess int64) {
	for _, phase := range p.Phases {
		if p.Limit > 0 {
			excess += max(0, of(phase)-p.Limit)
		}
	}
	return excess
}

// PlanAuto is PlanOf, and where the job does not fit with all weights of a phase in
// memory, it changes settings, in order of least harm, until it does or none is left:
// it returns the request with them, its plan, and what was chosen and why. Settings
// that change the numbers, quantisation and the VAE's tiles, come last.
func PlanAuto(ctx context.Context, r PlanRequest) (PlanRequest, plan.Plan, []plan.Choice, error) {
	p, err := PlanOf(ctx, r)
	if err != nil {
		return r, p, nil, err
	}
	t := tuner{excess: overAll, levers: levers, of: func(s setting) (plan.Plan, error) {
		next := r
		next.Job, next.Quant = s.job, s.quant
		return PlanOf(ctx, next)
	}}
	for _, part := range p.Parts {
		if part.Quant != "" && !r.Quant.Enabled() { // the checkpoint's own kind stays
			t.levers = without(t.levers, "quant")
		}
	}
	if r.Only != "" {
		t.levers = slices.DeleteFunc(slices.Clone(levers), func(l lever) bool { return l.flag != r.Only })
	}
	before := p.Largest()
	s, p, pulled, err := t.tune(setting{r.Job, r.Quant}, p)
	if err != nil {
		return r, p, nil, err
	}
	r.Job, r.Quant = s.job, s.quant
	var choices []plan.Choice
	for _, l := range last(pulled) {
		choices = append(choices, plan.Choice{Setting: l.flag, Value: l.value, Why: fmt.Sprintf(
			"%s would hold %s with its weights, %s has %s; the price: %s", before.Name, plan.Size(before.Resident()), p.Device, plan.Size(p.Limit), l.harm)})
	}
	return r, p, choices, nil
}

func without(all []lever, flag string) []lever {
	return slices.DeleteFunc(slices.Clone(all), func(l lever) bool { return l.flag == flag })
}

// last leaves out levers that a later one of the same flag replaced.
func last(pulled []lever) (kept []lever) {
	for i, l := range pulled {
		if len(without(pulled[i+1:], l.flag)) == len(pulled)-i-1 {
			kept = append(kept, l)
		}
	}
	return kept
}

// TooLargeError says that a job does not fit its device.
type TooLargeError struct {
	Plan     plan.Plan
	Settings []plan.Choice // with which it would fit; none if no settings do
	Frames   int           // with which it would fit, besides Settings; 0 if nothing does
}

func (e *TooLargeError) Error() string {
	peak := e.Plan.Peak()
	text := fmt.Sprintf("%d frames of %dx%d do not fit: found %s that %s would hold at its peak (%s of buffers, %s of the device's own, %s of the program), expected at most the %s of %s",
		e.Plan.Frames, e.Plan.Width, e.Plan.Height, plan.Size(peak.Memory()), peak.Name,
		plan.Size(peak.Buffers), plan.Size(peak.Scratch), plan.Size(peak.Host), plan.Size(e.Plan.Limit), e.Plan.Device)
	var with []string
	for _, c := range e.Settings {
		with = append(with, c.Flag())
	}
	if e.Frames > 0 {
		with = append(with, fmt.Sprintf("--frame_num %d", e.Frames))
	}
	if len(with) == 0 {
		return text + "; no setting makes it fit: use a smaller --max_area"
	}
	return text + "; it fits with " + strings.Join(with, " ")
}

// checkMemory returns a TooLargeError if the device has no room for the job.
func (p *Pipeline) checkMemory(ctx context.Context, q *prepared) (plan.Plan, error) {
	first, err := p.plan(ctx, q, plan.Rates{})
	if err != nil || first.Fit() != plan.TooMuch {
		return first, err
	}
	t := tuner{excess: overPeak, levers: without(levers, "quant"), of: func(s setting) (plan.Plan, error) {
		next := *q
		next.job = s.job
		return p.plan(ctx, &next, plan.Rates{})
	}}
	s, best, pulled, err := t.tune(setting{job: q.job}, first)
	if err != nil {
		return first, err
	}
	e := &TooLargeError{Plan: first}
	if overPeak(best) > 0 {
		if e.Frames, err = fewerFrames(q.frames, func(n int) (plan.Plan, error) {
			next := *q
			next.job, next.frames = s.job, n
			return p.plan(ctx, &next, plan.Rates{})
		}); err != nil {
			return first, err
		}
	}
	if overPeak(best) == 0 || e.Frames > 0 {
		for _, l := range last(pulled) {
			e.Settings = append(e.Settings, plan.Choice{Setting: l.flag, Value: l.value, Why: l.harm})
		}
	}
	return first, e
}

// fewerFrames returns the most frames, 4n+1 and fewer than frames, that fit; 0 if none.
func fewerFrames(frames int, of func(n int) (plan.Plan, error)) (int, error) {
	low, high := -1, (frames-1)/4 // low fits or is none, high does not
	for high-low > 1 {
		middle := (low + high) / 2
		p, err := of(4*middle + 1)
		if err != nil {
			return 0, err
		}
		if overPeak(p) == 0 {
			low = middle
		} else {
			high = middle
		}
	}
	return max(0, 4*low+1), nil
}

// noticeReloads says so if weights do not stay in memory.
func (q *prepared) noticeReloads(p plan.Plan) {
	if p.Fit() != plan.Reloads {
		return
	}
	most := p.Largest()
	q.notices = append(q.notices, fmt.Sprintf("%s holds %s with its weights, more than the %s of %s: weights are read from disk again in every pass, which is slow; --auto chooses settings that avoid it",
		most.Name, plan.Size(most.Resident()), plan.Size(p.Limit), p.Device))
}
