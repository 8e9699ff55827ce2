package denoise

import (
	"fmt"
	"slices"

	"gimbal/inference"
)

// fewSteps is the method of models that are distilled to a few steps of a long schedule, as
// the causal ones are: the velocity points to the clean sample, to which noise is added anew
// for the next step. Its steps are entries of UniPC's schedule of 1000.
var fewSteps = method{name: "few steps", levels: unipc.levels, shifted: unipc.shifted, timestep: unipc.timestep, kept: 1, step: (*Solver).stepRenoise}

// FewSteps says which steps a model of few steps takes.
type FewSteps struct {
	Index []int // entries of the schedule of 1000, rising
	Shift float64
	// Noise draws the noise of a sample's length for the next step.
	Noise func(dst []float32)
}

// NewFewSteps returns the solver of a model of few steps. It keeps nothing between steps but
// memory for the noise. Errors are SettingErrors.
//
// Timesteps are rounded down, so that several entries of the schedule have the same near its
// beginning, and the reference looks noise levels up by timestep: for the clean sample it
// takes the first entry of that timestep, for the noise the second, where there are two.
func NewFewSteps(of FewSteps) (*Solver, error) {
	if len(of.Index) == 0 || of.Index[0] < 0 || of.Index[len(of.Index)-1] >= trainSteps || !slices.IsSorted(of.Index) || len(slices.Compact(slices.Clone(of.Index))) < len(of.Index) {
		return nil, &inference.SettingError{Setting: "timesteps_index", Mistake: inference.Unusable, Found: fmt.Sprint(of.Index), Want: fmt.Sprintf("rising numbers from 0 to %d", trainSteps-1)}
	}
	all, err := New(UniPC, Schedule{Steps: trainSteps, Shift: of.Shift})
	if err != nil {
		return nil, err
	}
	s := &Solver{method: fewSteps, schedule: Schedule{Steps: len(of.Index), Shift: of.Shift}, draw: of.Noise}
	for i, index := range of.Index {
		t := all.timesteps[index]
		first := slices.Index(all.timesteps, t)
		second := first
		if next := first + 1; next < trainSteps && all.timesteps[next] == t {
			second = next
		}
		s.timesteps = append(s.timesteps, t)
		s.sigmas = append(s.sigmas, all.sigmas[first])
		if i > 0 {
			s.renoise = append(s.renoise, all.sigmas[second])
		}
	}
	s.sigmas = append(s.sigmas, 0)
	return s, nil
}

// stepRenoise is x = x0 = x - σ * v, and unless it is the last step, x = (1-σ') * x0 + σ' * noise.
func (s *Solver) stepRenoise(velocity, x []float32) {
	sigma := float64(s.sigmas[s.next])
	for i, v := range velocity {
		x[i] = float32(float64(x[i]) - float64(sigma*float64(v)))
	}
	if s.next == len(s.renoise) {
		return
	}
	to, noise := s.renoise[s.next], s.newer
	s.draw(noise)
	for i, x0 := range x {
		x[i] = float32((1-to)*x0) + float32(to*noise[i])
	}
}
