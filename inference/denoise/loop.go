package denoise

import "context"

// Loop takes a latent from noise to that of a video: for every timestep of the schedule
// the expert's guided velocity, then the solver's step.
type Loop struct {
	Solver   *Solver
	Guidance Guidance
	Cache    Cache // nil for none
	// Expert names the one for high or low noise; a checkpoint may have one for both.
	Expert func(highNoise bool) string
	// Model returns the expert of a step, prepared for the clip.
	Model func(ctx context.Context, step Step) (Model, error)
	// Phase runs the work of a step; times is how often the steps that follow do the same,
	// where Dry takes them all at once, and else 1.
	Phase func(step Step, times int, work func() error) error
	// After is told of a step that was taken. clean is the video that the velocity points
	// to, a latent as noisy as the last one, valid during the call.
	After func(step Step, clean []float32) error

	// Dry says that nothing is computed, as there is nothing in the latent: equal steps are
	// taken once.
	Dry bool
}

// Step is one step of the schedule.
type Step struct {
	Index    int // 0 for the first step
	Timestep float64
	Sigma    float64 // noise level
	Expert   string
	Place    int // among the expert's steps, 0 for the first
	Of       int // how many these are
	Passes   int // forward passes; those that are left where a cache made do without some
}

// Buffers is how many tensors of a latent's size Run works in.
const Buffers = 3

// Run takes the steps that the solver has left. work are Buffers tensors of the latent's
// size.
func (l *Loop) Run(ctx context.Context, latent []float32, work [Buffers][]float32) error {
	velocity, negative, clean := work[0], work[1], work[2]
	for steps := l.steps(); len(steps) > 0; {
		step, times := steps[0], l.equal(steps)
		model, err := l.Model(ctx, step)
		if err != nil {
			return err
		}
		passes := passes{Loop: l, model: model, step: step, latent: latent}
		err = l.Phase(step, times, func() error { return passes.run(ctx, velocity, negative) })
		if err != nil {
			return err
		}
		step.Passes = passes.computed
		for i, v := range velocity {
			clean[i] = latent[i] - float32(step.Sigma)*v
		}
		for _, s := range steps[:times] {
			l.Solver.Step(s.Index, velocity, latent)
		}
		if err := l.After(step, clean); err != nil {
			return err
		}
		steps = steps[times:]
	}
	return nil
}

// passes are those of a step.
type passes struct {
	*Loop
	model    Model
	step     Step
	latent   []float32
	begun    bool // the cache decided
	computed int
}

// run leaves the step's velocity in a tensor; negative has room for another one. It may be
// called again where it failed.
func (p *passes) run(ctx context.Context, velocity, negative []float32) error {
	cached := p.Cache != nil && !p.Dry && p.step.Passes > 0
	if cached && !p.begun {
		if err := p.Cache.begin(ctx, p.model, p.step, p.latent); err != nil {
			return err
		}
		p.begun = true
	}
	p.computed = 0
	return p.Guidance.velocity(p.step, func(prompt int, out []float32) error {
		computed, err := true, error(nil)
		if cached {
			computed, err = p.Cache.pass(ctx, p.model, p.step, p.latent, prompt, out)
		} else {
			err = p.model.Velocity(ctx, p.latent, p.step.Timestep, prompt, out)
		}
		if computed {
			p.computed++
		}
		return err
	}, velocity, negative)
}

// steps returns those that are left.
func (l *Loop) steps() (steps []Step) {
	sigmas, of := l.Solver.Sigmas(), map[string]int{}
	for i, t := range l.Solver.Timesteps() {
		expert := l.Expert(l.Guidance.HighNoise(t))
		steps = append(steps, Step{Index: i, Timestep: t, Sigma: sigmas[i], Expert: expert, Place: of[expert], Passes: l.Guidance.passes(i, t)})
		of[expert]++
	}
	for i := range steps {
		steps[i].Of = of[steps[i].Expert]
	}
	return steps[l.Solver.Next():]
}

// equal returns how many of the steps are taken at once.
func (l *Loop) equal(steps []Step) int {
	n := 1
	for l.Dry && n < len(steps) && steps[n].Expert == steps[0].Expert && steps[n].Passes == steps[0].Passes {
		n++
	}
	return n
}
