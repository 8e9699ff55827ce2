package denoise_test

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"testing"

	"gimbal/inference/denoise"
	"gimbal/inference/golden"
)

// rounded returns values in F32.
func rounded(values []float64) []float32 {
	list := make([]float32, len(values))
	for i, v := range values {
		list[i] = float32(v)
	}
	return list
}

// TestFewSteps compares the solver of step-distilled models with the reference's: a step more
// than a rounding off in its schedule would be another method.
func TestFewSteps(t *testing.T) {
	const bound = 1e-6
	for _, c := range golden.FormatCases(t, "sampler_") {
		var p struct {
			Solver string  `json:"solver"`
			Steps  int     `json:"steps"`
			Shift  float64 `json:"shift"`
			Model  string  `json:"model"`
		}
		if c.Scalars(t, &p); p.Model != "v = 0.3*x + sin(t/300)*c" {
			t.Fatalf("the model of %s is %q, which this test does not know", c.Name, p.Model)
		}
		s := mustNew(t, p.Solver, p.Steps, p.Shift)
		timesteps, _ := c.F32(t, "timesteps")
		sigmas, _ := c.F32(t, "sigmas")
		golden.Check(t, c.Name+" timesteps", rounded(s.Timesteps()), timesteps, bound)
		golden.Check(t, c.Name+" sigmas", rounded(s.Sigmas()), sigmas, bound)
		x, _ := c.F32(t, "noise")
		add, _ := c.F32(t, "c")
		velocity := make([]float32, len(x))
		for i, at := range s.Timesteps() {
			sin := float32(math.Sin(at / 300))
			for j := range velocity {
				velocity[j] = float32(0.3*x[j]) + float32(sin*add[j])
			}
			s.Step(i, velocity, x)
			want, _ := c.F32(t, fmt.Sprintf("after_step%d", i))
			golden.Check(t, fmt.Sprintf("%s after step %d", c.Name, i+1), x, want, bound)
		}
	}
}

// TestHighSteps gives the high-noise expert other steps than its schedule does; those of the
// other expert stay, and a state knows it.
func TestHighSteps(t *testing.T) {
	const boundary = 0.9
	for _, name := range denoise.Names() {
		usual, err := denoise.New(name, denoise.Schedule{Steps: 8, Shift: 5, Boundary: boundary})
		if err != nil {
			t.Fatal(err)
		}
		low := slices.DeleteFunc(usual.Timesteps(), func(at float64) bool { return at >= 1000*boundary })
		for _, high := range []int{1, 2, 9} {
			s, err := denoise.New(name, denoise.Schedule{Steps: 8, Shift: 5, HighSteps: high, Boundary: boundary})
			if err != nil {
				t.Fatal(err)
			}
			all := s.Timesteps()
			if len(all) != high+len(low) || s.Steps() != len(all) || !slices.Equal(all[high:], low) || all[high-1] < 1000*boundary || all[0] != usual.Timesteps()[0] {
				t.Errorf("%s: with %d high-noise steps %v, usually %v", name, high, all, usual.Timesteps())
			}
			s.Step(0, noise(8), noise(8))
			text, err := json.Marshal(s.State())
			var state denoise.State
			if err == nil {
				err = json.Unmarshal(text, &state)
			}
			if err != nil {
				t.Fatal(err)
			}
			if r, err := denoise.Restore(state); err != nil || !slices.Equal(r.Timesteps(), all) || r.Next() != 1 {
				t.Errorf("%s: restored as %+v, %v", name, r, err)
			}
		}
		// One expert for all steps.
		if s, err := denoise.New(name, denoise.Schedule{Steps: 8, Shift: 5, HighSteps: 3}); err != nil || s.Steps() != 8 {
			t.Errorf("%s: %d steps without a boundary, %v", name, s.Steps(), err)
		}
	}
}
