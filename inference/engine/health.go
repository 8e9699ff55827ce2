package inference

import (
	"context"
	"errors"
	"fmt"
	"math"

	"gimbal/inference/wan"
)

// collapsed is the standard deviation below which a tensor counts as constant:
// healthy latents and velocities have one near 1.
const collapsed = 1e-6

// notFinite returns where values first hold a NaN or an infinity, or "".
func notFinite(values []float32) string {
	for i, v := range values {
		switch x := float64(v); {
		case math.IsNaN(x):
			return fmt.Sprintf("NaN at element %d of %d", i, len(values))
		case math.IsInf(x, 0):
			return fmt.Sprintf("infinity at element %d of %d", i, len(values))
		}
	}
	return ""
}

// unhealthy returns what is wrong with the values of a tensor of the steps, or "".
func unhealthy(values []float32) string {
	if bad := notFinite(values); bad != "" || len(values) < 2 {
		return bad
	}
	var sum, squares float64
	for _, v := range values {
		sum += float64(v)
		squares += float64(v) * float64(v)
	}
	n := float64(len(values))
	mean := sum / n
	if std := math.Sqrt(max(0, squares/n-mean*mean)); std < collapsed*max(1, math.Abs(mean)) {
		return fmt.Sprintf("collapsed: all %d values are close to %.3g", len(values), mean)
	}
	return ""
}

// UnhealthyError says at which step a run stopped because the numbers went bad.
type UnhealthyError struct {
	Step   int    // 1 for the first step
	Expert string // folder of the expert
	Where  string // such as "block 3" or "output"
	Found  string // what was found
}

func (e *UnhealthyError) Error() string {
	return fmt.Sprintf("step %d, %s, %s: %s; the run was stopped, its state before this step is kept. "+
		"If the checkpoint is whole (gimbal inspect), try fewer 16-bit inputs or another device", e.Step, e.Expert, e.Where, e.Found)
}

// locate runs the forward pass once more, looking at every block, and returns
// the place where the numbers first go bad, and what is wrong there.
func locate(ctx context.Context, s *wan.Session, x []float32, t float64, prompt int, found string) (where, what string) {
	where, what = "output", found
	s.Inspect = func(block int, hidden func() ([]float32, error)) error {
		values, err := hidden()
		if err != nil {
			return err
		}
		if bad := unhealthy(values); bad != "" {
			where, what = fmt.Sprintf("block %d", block), bad
			return errLocated
		}
		return nil
	}
	defer func() { s.Inspect = nil }()
	err := s.Velocity(ctx, x, t, prompt, make([]float32, len(x)))
	if err != nil && !errors.Is(err, errLocated) {
		what = fmt.Sprintf("%s (looking for the block failed: %v)", found, err)
	}
	return where, what
}

// errLocated ends the forward pass of locate.
var errLocated = errors.New("located")
