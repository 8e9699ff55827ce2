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

	// What the solver keeps, of the sample's length each; none before the first step.
	Newer []float32 `json:"newer,omitempty"`
	Older []float32 `json:"older,omitempty"`
	Last  []float32 `json:"last,omitempty"`
}

// State returns the solver's state between two steps. Its slices are the solver's own:
// they are valid until the next Step.
func (s *Solver) State() State {
	return State{Kind: s.method.name, Steps: s.Steps(), Shift: s.shift, Next: s.next,
		Newer: s.newer, Older: s.older, Last: s.last}
}

// Restore returns the solver that the state was taken from. It copies the history.
func Restore(state State) (*Solver, error) {
	s, err := New(state.Kind, state.Steps, state.Shift)
	if err != nil {
		return nil, err
	}
	if state.Next < 0 || state.Next > state.Steps {
		return nil, fmt.Errorf("denoise: state is before step %d, expected 0 to %d", state.Next, state.Steps)
	}
	n := len(state.Newer)
	for i, history := range [][]float32{state.Newer, state.Older, state.Last} {
		want := n
		if i >= s.method.kept {
			want = 0
		}
		if len(history) != want || (n == 0) != (state.Next == 0) {
			return nil, fmt.Errorf("denoise: state of %s before step %d has a history of %d, %d and %d values",
				state.Kind, state.Next, n, len(state.Older), len(state.Last))
		}
	}
	s.next = state.Next
	s.newer, s.older, s.last = slices.Clone(state.Newer), slices.Clone(state.Older), slices.Clone(state.Last)
	return s, nil
}
