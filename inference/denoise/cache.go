package denoise

import (
	"context"
	"fmt"
	"math"
	"slices"
)

// Cache leaves forward passes out and makes do with what is known from the steps before:
// lossy, and off unless somebody asks for it. What it knows of one expert is of no use for the
// other.
type Cache interface {
	// begin decides which passes of a step at latent x are left out. It changes nothing if it
	// fails.
	begin(ctx context.Context, m Model, step Step, x []float32) error
	// pass writes the velocity under one of the prompts to out, and reports whether it was
	// computed, or made up as begin decided. After a failure it may be called again.
	pass(ctx context.Context, m Model, step Step, x []float32, prompt int, out []float32) (computed bool, err error)
	// Kept returns the number of tensors of the latent's size that are kept between steps.
	Kept() int
	// State returns what is needed to go on after a kill, besides the settings; its slices
	// are the cache's own until the next step.
	State() CacheState
}

// CacheState is what a Cache needs to go on bit for bit.
type CacheState struct {
	Expert string  `json:"expert"` // that it is about
	Rate   float64 `json:"rate"`   // see EasyCache; 0 while it is not known
	Sum    float64 `json:"sum"`    // of the changes since the last computed step
	Passes int     `json:"passes"` // of the last computed step

	// Residuals are what MagCache and TeaCache know of the pass under each prompt.
	Residuals [2]PassState `json:"residuals,omitzero"`
	// Recorded is what a Recorder took down.
	Recorded []Recorded `json:"recorded,omitempty"`

	// The latent of the last step; of the last computed step the latent and the velocities
	// under the prompts. Caches of residuals have the latents of the last computed passes under
	// the prompts in Input and Negative, and nothing else; a Recorder the embedding of the last
	// timestep in Previous, its norms under the prompts in Input and Negative, and its velocity.
	Previous, Input, Output, Negative []float32 `json:"-"`
}

// Tensors names the tensors of a state.
func (s *CacheState) Tensors() map[string]*[]float32 {
	return map[string]*[]float32{"cache_previous": &s.Previous, "cache_input": &s.Input, "cache_output": &s.Output, "cache_negative": &s.Negative}
}

// cloned returns a state with tensors of its own.
func (s CacheState) cloned() CacheState {
	for _, tensor := range s.Tensors() {
		*tensor = slices.Clone(*tensor)
	}
	return s
}

// EasyCache says when EasyCache (https://arxiv.org/abs/2507.02860) leaves steps out. It
// assumes that the velocity changes with the latent at a rate that itself changes little: when
// the sum of the estimated changes, relative to the velocity, is below Threshold, the
// difference of velocity and latent stays what it was.
type EasyCache struct {
	Threshold float64
	First     int // so many steps at the beginning, and the last, are always computed
}

// easyCache is EasyCache at work.
type easyCache struct {
	EasyCache
	steps    int
	skipping bool
	computed [2]bool // the passes of the step at hand that were
	CacheState
}

// NewEasyCache returns the cache for so many steps, which goes on from a state; the zero state
// begins anew.
func NewEasyCache(of EasyCache, steps int, from CacheState) (Cache, error) {
	n := len(from.Previous)
	for name, tensor := range from.Tensors() {
		if len(*tensor) != n && (len(*tensor) != 0 || name == "cache_negative" && from.Passes > 1) {
			return nil, fmt.Errorf("denoise: the cache's %s has %d values, expected %d", name, len(*tensor), n)
		}
	}
	return &easyCache{EasyCache: of, steps: steps, CacheState: from.cloned()}, nil
}

func (c *easyCache) Kept() int { return len(c.Tensors()) }

func (c *easyCache) State() CacheState { return c.CacheState }

func (c *easyCache) begin(_ context.Context, _ Model, step Step, x []float32) error {
	if step.Expert != c.Expert {
		c.CacheState = CacheState{Expert: step.Expert}
	}
	c.skipping, c.computed = false, [2]bool{}
	if step.Index >= c.First && step.Index < c.steps-1 && c.Rate > 0 && step.Passes <= c.Passes {
		c.Sum += c.Rate * meanDistance(x, c.Previous) / meanSize(c.Output)
		c.skipping = c.Sum < c.Threshold
	}
	if !c.skipping {
		c.Sum, c.Passes = 0, step.Passes
	}
	c.Previous = append(c.Previous[:0], x...)
	return nil
}

func (c *easyCache) pass(ctx context.Context, m Model, step Step, x []float32, prompt int, out []float32) (bool, error) {
	known := &c.Output
	if prompt == Negative {
		known = &c.Negative
	}
	if c.skipping {
		for i, v := range *known {
			out[i] = x[i] + (v - c.Input[i])
		}
		return false, nil
	}
	if c.computed[prompt] {
		copy(out, *known)
		return true, nil
	}
	if err := m.Velocity(ctx, x, step.Timestep, prompt, out); err != nil {
		return false, err
	}
	if prompt == Prompt {
		if len(c.Input) > 0 {
			c.Rate = meanDistance(out, c.Output) / meanDistance(x, c.Input)
			if math.IsNaN(c.Rate) || math.IsInf(c.Rate, 0) {
				c.Rate = 0 // nothing changed: nothing is known
			}
		}
		c.Input = append(c.Input[:0], x...)
	}
	*known = append((*known)[:0], out...)
	c.computed[prompt] = true
	return true, nil
}

// meanDistance returns the mean of |a-b|.
func meanDistance(a, b []float32) float64 {
	var sum float64
	for i, v := range a {
		sum += math.Abs(float64(v) - float64(b[i]))
	}
	return sum / float64(len(a))
}

// meanSize returns the mean of |a|.
func meanSize(a []float32) float64 {
	var sum float64
	for _, v := range a {
		sum += math.Abs(float64(v))
	}
	return sum / float64(len(a))
}
