package denoise

import "context"

// Model is one expert, prepared for a clip.
type Model interface {
	// Velocity writes the velocity of the latent x at timestep t, under one of the prompts,
	// to out.
	Velocity(ctx context.Context, x []float32, t float64, prompt int, out []float32) error
}

// The prompts of a Model.
const (
	Prompt   = 0
	Negative = 1
)

// Guidance is classifier-free guidance (https://arxiv.org/abs/2207.12598) with a scale
// for each of two experts: velocity = negative + scale*(prompt - negative).
type Guidance struct {
	Low, High float64
	Boundary  float64 // share of the schedule from which the high-noise expert runs

	// Interval, unless zero, is the part of the schedule, as shares from low to high, in which
	// there is guidance at all (https://arxiv.org/abs/2404.07724).
	Interval [2]float64
	// Projected puts the projection of the prompt's velocity on the negative prompt's in the
	// place of the latter: CFG-Zero* (https://arxiv.org/abs/2503.18886).
	Projected bool
	// Still is how many steps at the beginning go nowhere: CFG-Zero*'s zero-init.
	Still int
}

// HighNoise reports whether timestep t is the high-noise expert's.
func (g Guidance) HighNoise(t float64) bool { return highNoise(t, g.Boundary) }

func highNoise(t, boundary float64) bool { return t >= boundary*trainSteps }

// Scale returns the scale at timestep t.
func (g Guidance) Scale(t float64) float64 {
	if g.HighNoise(t) {
		return g.High
	}
	return g.Low
}

// Passes returns how often the model runs at timestep t: with a scale of 1 the negative
// prompt has no effect.
func (g Guidance) Passes(t float64) int {
	if g.Scale(t) == 1 || g.Interval != [2]float64{} && (t < g.Interval[0]*trainSteps || t > g.Interval[1]*trainSteps) {
		return 1
	}
	return 2
}

// passes is Passes of a step.
func (g Guidance) passes(step int, t float64) int {
	if step < g.Still {
		return 0
	}
	return g.Passes(t)
}

// velocity leaves the guided velocity of a step in out; negative has room for another one.
// pass computes one under a prompt.
func (g Guidance) velocity(step Step, pass func(prompt int, out []float32) error, out, negative []float32) error {
	if step.Passes == 0 {
		clear(out)
		return nil
	}
	if err := pass(Prompt, out); err != nil || step.Passes == 1 {
		return err
	}
	if err := pass(Negative, negative); err != nil {
		return err
	}
	if g.Projected {
		project(negative, out)
	}
	scale := float32(g.Scale(step.Timestep))
	for i, v := range negative {
		out[i] = v + scale*(out[i]-v)
	}
	return nil
}

// project scales v so that it is nearest to another vector.
func project(v, to []float32) {
	var dot, square float64
	for i, x := range v {
		dot += float64(x) * float64(to[i])
		square += float64(x) * float64(x)
	}
	scale := float32(dot / (square + 1e-8))
	for i := range v {
		v[i] *= scale
	}
}
