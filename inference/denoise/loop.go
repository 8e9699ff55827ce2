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
	Passes   int // forward passes; 0 where a cache made do without
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
		pass := func(prompt int, out []float32) error {
			return model.Velocity(ctx, latent, step.Timestep, prompt, out)
		}
		if l.Cache != nil && !l.Dry && step.Passes > 0 {
			pass = func(prompt int, out []float32) error {
				return l.Cache.pass(ctx, model, latent, step.Timestep, prompt, out)
			}
		}
		err = l.Phase(step, times, func() error {
			skipped := l.Cache != nil && !l.Dry && step.Passes > 0 && l.Cache.skip(step, latent)
			if err := l.Guidance.velocity(step, pass, velocity, negative); err != nil || !skipped {
				return err
			}
			step.Passes = 0
			return nil
		})
		if err != nil {
			return err
		}
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

// steps returns those that are left.
func (l *Loop) steps() (steps []Step) {
	timesteps, sigmas := l.Solver.Timesteps(), l.Solver.Sigmas()
	for i := l.Solver.Next(); i < len(timesteps); i++ {
		t := timesteps[i]
		steps = append(steps, Step{Index: i, Timestep: t, Sigma: sigmas[i], Expert: l.Expert(l.Guidance.HighNoise(t)), Passes: l.Guidance.passes(i, t)})
	}
	return steps
}

// equal returns how many of the steps are taken at once.
func (l *Loop) equal(steps []Step) int {
	n := 1
	for l.Dry && n < len(steps) && steps[n].Expert == steps[0].Expert && steps[n].Passes == steps[0].Passes {
		n++
	}
	return n
}
