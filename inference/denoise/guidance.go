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
	if g.Scale(t) == 1 {
		return 1
	}
	return 2
}

// velocity leaves the guided velocity of x in out; negative has room for another one.
func (g Guidance) velocity(ctx context.Context, m Model, x []float32, t float64, out, negative []float32) error {
	if err := m.Velocity(ctx, x, t, Prompt, out); err != nil || g.Passes(t) == 1 {
		return err
	}
	if err := m.Velocity(ctx, x, t, Negative, negative); err != nil {
		return err
	}
	scale := float32(g.Scale(t))
	for i, v := range negative {
		out[i] = v + scale*(out[i]-v)
	}
	return nil
}
