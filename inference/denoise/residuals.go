package denoise

import (
	"context"
	"fmt"
	"math"
)

// Blocks is a Model that remembers what its blocks added to what they started from.
type Blocks interface {
	Model
	// Skip is Velocity with what the blocks added in the last Velocity under the prompt in
	// their place.
	Skip(ctx context.Context, x []float32, t float64, prompt int, out []float32) error
	// Knows reports whether there is such.
	Knows(prompt int) bool
	// Norms returns the Euclidean norm of what is remembered, of every token.
	Norms(ctx context.Context, prompt int) ([]float32, error)
	// Signal returns the embedding of a timestep, or what the blocks are given of it.
	Signal(ctx context.Context, t float64, projected bool) ([]float32, error)
}

// PassState is what a cache of residuals knows of the pass under one prompt.
type PassState struct {
	Next     int     `json:"next"`     // after the last step with such a pass
	Last     float64 `json:"last"`     // timestep of that
	Computed float64 `json:"computed"` // timestep of the last pass that was computed
	Ratio    float64 `json:"ratio"`    // see MagCache
	Error    float64 `json:"error"`    // estimated, since that pass
	Skipped  int     `json:"skipped"`  // passes since then
}

// residuals is a cache that leaves the blocks out and adds what they added at an earlier step,
// which the model remembers: after a kill it is computed once more from the latent of then.
type residuals struct {
	rule     rule
	skipping [2]bool
	CacheState
}

// rule says when the blocks are left out.
type rule interface {
	// skip decides on a pass that follows others of its expert's, of which s is told.
	skip(ctx context.Context, m Blocks, step Step, prompt int, s *PassState) (bool, error)
}

func newResiduals(r rule, from CacheState) (Cache, error) {
	if in, negative := len(from.Input), len(from.Negative); in != negative && negative != 0 ||
		from.Residuals[Prompt].Next > 0 && in == 0 || from.Residuals[Negative].Next > 0 && negative == 0 {
		return nil, fmt.Errorf("denoise: the cache's latents have %d and %d values, expected them of one size", in, negative)
	}
	return &residuals{rule: r, CacheState: from.cloned()}, nil
}

func (c *residuals) Kept() int { return 2 }

func (c *residuals) State() CacheState { return c.CacheState }

func (c *residuals) begin(ctx context.Context, m Model, step Step, _ []float32) error {
	next, skipping := c.CacheState, [2]bool{}
	if step.Expert != next.Expert {
		next = CacheState{Expert: step.Expert}
	}
	for prompt := range step.Passes {
		s := &next.Residuals[prompt]
		if step.Place > 0 && s.Next == step.Index {
			var err error
			if skipping[prompt], err = c.rule.skip(ctx, m.(Blocks), step, prompt, s); err != nil {
				return err
			}
		}
		if !skipping[prompt] {
			*s = PassState{Computed: step.Timestep, Ratio: 1}
		}
		s.Next, s.Last = step.Index+1, step.Timestep
	}
	c.CacheState, c.skipping = next, skipping
	return nil
}

func (c *residuals) pass(ctx context.Context, m Model, step Step, x []float32, prompt int, out []float32) (bool, error) {
	input := &c.Input
	if prompt == Negative {
		input = &c.Negative
	}
	if !c.skipping[prompt] {
		*input = append((*input)[:0], x...)
		return true, m.Velocity(ctx, x, step.Timestep, prompt, out)
	}
	blocks := m.(Blocks)
	if !blocks.Knows(prompt) {
		if err := blocks.Velocity(ctx, *input, c.Residuals[prompt].Computed, prompt, out); err != nil {
			return false, err
		}
	}
	return false, blocks.Skip(ctx, x, step.Timestep, prompt, out)
}

// MagCache says when MagCache (https://arxiv.org/abs/2506.09045) leaves the blocks out: as long
// as what they add is estimated to have changed little in size, by a curve of how it changes
// from step to step that was taken down once.
type MagCache struct {
	Threshold float64     // of the estimated errors' sum
	Most      int         // passes that are left out one after the other
	Retention float64     // share of an expert's steps that are always computed, from its first on
	By        Calibration // of the model
}

// NewMagCache returns the cache, which goes on from a state; the zero state begins anew.
func NewMagCache(of MagCache, from CacheState) (Cache, error) { return newResiduals(of, from) }

func (c MagCache) skip(_ context.Context, _ Blocks, step Step, prompt int, s *PassState) (bool, error) {
	if step.Place < int(c.Retention*float64(step.Of)) {
		return false, nil
	}
	s.Ratio *= c.By.Experts[step.Expert].ratio(prompt, step)
	s.Error += math.Abs(1 - s.Ratio)
	s.Skipped++
	return s.Error < c.Threshold && s.Skipped <= c.Most, nil
}

// TeaCache says when TeaCache (https://arxiv.org/abs/2411.19108) leaves the blocks out: as long
// as the changes of the timestep's embedding, turned into those of the velocity by a polynomial,
// add up to little.
type TeaCache struct {
	Threshold float64
	By        TeaCacheRow
	Experts   map[string][]float64 // polynomials by expert, in place of By's; nil for that
	Steps     int                  // of the schedule
}

// NewTeaCache returns the cache, which goes on from a state; the zero state begins anew.
func NewTeaCache(of TeaCache, from CacheState) (Cache, error) { return newResiduals(of, from) }

func (c TeaCache) skip(ctx context.Context, m Blocks, step Step, _ int, s *PassState) (bool, error) {
	if step.Index < c.By.First || !c.By.Projected && step.Index == c.Steps-1 {
		return false, nil
	}
	before, err := m.Signal(ctx, s.Last, c.By.Projected)
	if err != nil {
		return false, err
	}
	now, err := m.Signal(ctx, step.Timestep, c.By.Projected)
	if err != nil {
		return false, err
	}
	of := c.By.Polynomial
	if c.Experts != nil {
		of = c.Experts[step.Expert]
	}
	s.Error += polynomial(of, relativeChange(now, before))
	s.Skipped++
	return s.Error < c.Threshold, nil
}

// relativeChange returns mean|now-before| / mean|before|.
func relativeChange(now, before []float32) float64 {
	return meanDistance(now, before) / meanSize(before)
}

// polynomial returns the value at x of one whose coefficients begin with the highest power's.
func polynomial(of []float64, x float64) (y float64) {
	for _, c := range of {
		y = float64(y*x) + c
	}
	return y
}

// TeaCacheRow is a published polynomial.
type TeaCacheRow struct {
	Name       string
	Polynomial []float64 // the highest power first
	// Projected says that the signal is what the blocks are given, not the embedding; the last
	// step is then not always computed.
	Projected bool
	First     int // steps that are always computed
}

// TeaCacheRows are those of Wan 2.1 I2V 14B (https://github.com/ali-vilab/TeaCache). There are
// none of Wan 2.2 or LingBot-World, which a Calibration makes up for.
var TeaCacheRows = []TeaCacheRow{
	{Name: "wan2.1-480p", First: 1, Polynomial: []float64{-302.33167, 223.948934, -52.546397, 5.8734844, -0.201973289}},
	{Name: "wan2.1-480p-ret", First: 5, Projected: true, Polynomial: []float64{257151.496, -35422.9917, 1402.86849, -13.5890334, 0.132517977}},
	{Name: "wan2.1-720p", First: 1, Polynomial: []float64{-114.36346466, 65.26524496, -18.82220707, 4.91518089, -0.23412683}},
	{Name: "wan2.1-720p-ret", First: 5, Projected: true, Polynomial: []float64{8107.0546, 2133.93892, -372.934672, 16.6203073, -0.0417769401}},
}
