package denoise

import (
	"fmt"
	"slices"
)

// State is what a solver needs, besides the sample, to go on bit for bit after a kill.
type State struct {
	Kind  string  `json:"kind"`
	Steps int     `json:"steps"`
	Shift float64 `json:"shift"`
	Next  int     `json:"next"` // step to be taken next

	HighSteps int     `json:"high_steps,omitempty"`
	Boundary  float64 `json:"boundary,omitempty"` // only with HighSteps

	// What the solver keeps, of the sample's length each; none before the first step.
	Newer []float32 `json:"newer,omitempty"`
	Older []float32 `json:"older,omitempty"`
	Last  []float32 `json:"last,omitempty"`
}

// State returns the solver's state between two steps. Its slices are the solver's own:
// they are valid until the next Step.
func (s *Solver) State() State {
	state := State{Kind: s.method.name, Steps: s.schedule.Steps, Shift: s.schedule.Shift, Next: s.next,
		Newer: s.newer, Older: s.older, Last: s.last}
	if s.schedule.HighSteps > 0 {
		state.HighSteps, state.Boundary = s.schedule.HighSteps, s.schedule.Boundary
	}
	return state
}

// Restore returns the solver that the state was taken from. It copies the history.
func Restore(state State) (*Solver, error) {
	s, err := New(state.Kind, Schedule{Steps: state.Steps, Shift: state.Shift, HighSteps: state.HighSteps, Boundary: state.Boundary})
	if err != nil {
		return nil, err
	}
	if state.Next < 0 || state.Next > s.Steps() {
		return nil, fmt.Errorf("denoise: state is before step %d, expected 0 to %d", state.Next, s.Steps())
	}
	n := len(state.Newer)
	for i, history := range [][]float32{state.Newer, state.Older, state.Last} {
		want := n
		if i >= s.method.kept {
			want = 0
		}
		if len(history) != want || (n == 0) != (state.Next == 0 || s.method.kept == 0) {
			return nil, fmt.Errorf("denoise: state of %s before step %d has a history of %d, %d and %d values",
				state.Kind, state.Next, n, len(state.Older), len(state.Last))
		}
	}
	s.next, s.size = state.Next, n
	s.newer, s.older, s.last = slices.Clone(state.Newer), slices.Clone(state.Older), slices.Clone(state.Last)
	return s, nil
}
