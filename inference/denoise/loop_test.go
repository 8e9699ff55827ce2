package denoise_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"gimbal/inference/denoise"
)

// model gives x itself as the prompt's velocity and nothing as the negative one's, and
// notes what it is asked for.
type model struct{ asked *[]string }

func (m model) Velocity(_ context.Context, x []float32, t float64, prompt int, out []float32) error {
	*m.asked = append(*m.asked, fmt.Sprintf("%g/%d", t, prompt))
	clear(out)
	if prompt == denoise.Prompt {
		copy(out, x)
	}
	return nil
}

func newLoop(t *testing.T, g denoise.Guidance, asked *[]string) *denoise.Loop {
	return &denoise.Loop{
		Solver: mustNew(t, denoise.UniPC, 6, 3), Guidance: g,
		Expert: func(highNoise bool) string { return map[bool]string{true: "high", false: "low"}[highNoise] },
		Model:  func(context.Context, denoise.Step) (denoise.Model, error) { return model{asked}, nil },
		Phase:  func(_ denoise.Step, _ int, work func() error) error { return work() },
		After:  func(denoise.Step, []float32) error { return nil },
	}
}

func buffers(n int) (work [denoise.Buffers][]float32) {
	for i := range work {
		work[i] = make([]float32, n)
	}
	return work
}

// TestGuidance makes sure that the negative prompt is asked where it has an effect, and
// that the velocity is what guidance makes of both.
func TestGuidance(t *testing.T) {
	var asked []string
	l := newLoop(t, denoise.Guidance{Low: 1, High: 4, Boundary: 0.9}, &asked)
	latent := []float32{1, -2}
	var clean []float64
	l.After = func(s denoise.Step, c []float32) error {
		clean = append(clean, float64(c[0]))
		if high := s.Index < 2; high != (s.Expert == "high") || high != (s.Passes == 2) {
			t.Errorf("step %+v", s)
		}
		return nil
	}
	sigma := l.Solver.Sigmas()[0]
	if err := l.Run(t.Context(), latent, buffers(2)); err != nil {
		t.Fatal(err)
	}
	ts := l.Solver.Timesteps()
	var want []string
	for i, at := range ts {
		want = append(want, fmt.Sprintf("%g/0", at))
		if i < 2 {
			want = append(want, fmt.Sprintf("%g/1", at))
		}
	}
	if !slices.Equal(asked, want) {
		t.Errorf("asked %v, want %v", asked, want)
	}
	if first := 1 - sigma*4; math.Abs(clean[0]-first) > 1e-5 {
		t.Errorf("the first clean value is %g, want %g", clean[0], first)
	}
}

// TestDryLoop makes sure that equal steps are taken once, and all are counted.
func TestDryLoop(t *testing.T) {
	var asked []string
	l := newLoop(t, denoise.Guidance{Low: 5, High: 5, Boundary: 0.9}, &asked)
	l.Dry = true
	total := 0
	var times []int
	l.Phase = func(s denoise.Step, n int, work func() error) error {
		total += n
		times = append(times, n)
		return work()
	}
	if err := l.Run(t.Context(), nil, [denoise.Buffers][]float32{}); err != nil {
		t.Fatal(err)
	}
	if len(times) != 2 || total != 6 || len(asked) != 4 || l.Solver.Next() != 6 {
		t.Errorf("phases of %v steps, %d forwards, solver at %d", times, len(asked), l.Solver.Next())
	}
	times, total = nil, 0
	l.Solver, l.Expert = mustNew(t, denoise.UniPC, 6, 3), func(bool) string { return "both" }
	if err := l.Run(t.Context(), nil, [denoise.Buffers][]float32{}); err != nil {
		t.Fatal(err)
	}
	if len(times) != 1 || total != 6 {
		t.Errorf("with one expert, phases of %v steps", times)
	}
}

// TestLoopEnds makes sure that an error of any part ends the loop, with the solver before
// the step that failed.
func TestLoopEnds(t *testing.T) {
	stop := errors.New("stop")
	for name, spoil := range map[string]func(l *denoise.Loop){
		"model": func(l *denoise.Loop) {
			l.Model = func(context.Context, denoise.Step) (denoise.Model, error) { return nil, stop }
		},
		"phase": func(l *denoise.Loop) {
			l.Phase = func(denoise.Step, int, func() error) error { return stop }
		},
		"after": func(l *denoise.Loop) {
			l.After = func(denoise.Step, []float32) error { return stop }
		},
	} {
		var asked []string
		l := newLoop(t, denoise.Guidance{Low: 5, High: 5, Boundary: 0.9}, &asked)
		spoil(l)
		if err := l.Run(t.Context(), []float32{1, 2}, buffers(2)); !errors.Is(err, stop) {
			t.Errorf("%s: %v", name, err)
		}
		if done := l.Solver.Next(); (done == 1) != (name == "after") || done > 1 {
			t.Errorf("%s: the solver is before step %d", name, done+1)
		}
	}
}
