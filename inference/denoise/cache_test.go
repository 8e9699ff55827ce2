package denoise_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"testing"

	"gimbal/inference/denoise"
)

// drift is a model whose velocity changes little from step to step.
type drift struct{ asked *[]string }

func (m drift) Velocity(_ context.Context, x []float32, t float64, prompt int, out []float32) error {
	*m.asked = append(*m.asked, fmt.Sprintf("%g/%d", t, prompt))
	for i, v := range x {
		out[i] = 0.2*v + float32(math.Sin(float64(i)+t/400)) + float32(prompt)*0.1
	}
	return nil
}

// runCached runs 24 steps with a cache, stopped and begun again before step stop; -1 for not
// at all.
func runCached(t *testing.T, of denoise.EasyCache, stop int) (latent []float32, asked, skipped []string) {
	t.Helper()
	solver, err := denoise.New(denoise.UniPC, denoise.Schedule{Steps: 24, Shift: 3})
	if err != nil {
		t.Fatal(err)
	}
	cache, err := denoise.NewEasyCache(of, 24, denoise.CacheState{})
	if err != nil {
		t.Fatal(err)
	}
	latent = noise(64)
	for {
		l := newLoop(t, denoise.Guidance{Low: 3, High: 3, Boundary: 0.9}, &asked)
		l.Solver, l.Cache = solver, cache
		l.Model = func(context.Context, denoise.Step) (denoise.Model, error) { return drift{&asked}, nil }
		ctx, cancel := context.WithCancel(t.Context())
		l.After = func(s denoise.Step, _ []float32) error {
			if s.Passes == 0 {
				skipped = append(skipped, s.Expert)
			}
			if s.Index+1 == stop {
				cancel()
			}
			return ctx.Err()
		}
		err := l.Run(ctx, latent, buffers(64))
		cancel()
		if err == nil {
			return latent, asked, skipped
		}
		stop = -1
		if cache, err = denoise.NewEasyCache(of, 24, reread(t, cache.State())); err != nil {
			t.Fatal(err)
		}
		if solver, err = denoise.Restore(solver.State()); err != nil {
			t.Fatal(err)
		}
	}
}

// reread returns a state as it is after a kill: its tensors are on disk by their names.
func reread(t *testing.T, state denoise.CacheState) (again denoise.CacheState) {
	t.Helper()
	text, err := json.Marshal(state)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &again); err != nil {
		t.Fatal(err)
	}
	for name, tensor := range again.Tensors() {
		*tensor = *state.Tensors()[name]
	}
	return again
}

// TestEasyCache leaves steps out, but neither the first, nor the last, nor an expert's first
// two, and gives the same bits when it is stopped at any step.
func TestEasyCache(t *testing.T) {
	exact, all, none := runCached(t, denoise.EasyCache{Threshold: 0, First: 3}, -1)
	if len(none) != 0 || len(all) != 48 {
		t.Fatalf("with a threshold of 0, %d passes and %d steps without", len(all), len(none))
	}
	of := denoise.EasyCache{Threshold: 0.3, First: 3}
	want, asked, skipped := runCached(t, of, -1)
	for _, expert := range []string{"high", "low"} {
		if !slices.Contains(skipped, expert) {
			t.Errorf("no step of the %s expert is left out", expert)
		}
	}
	if len(asked) != 48-2*len(skipped) {
		t.Errorf("%d passes, %d steps left out", len(asked), len(skipped))
	}
	if !slices.Equal(asked[:6], all[:6]) || asked[len(asked)-1] != all[47] {
		t.Errorf("passes %v", asked)
	}
	firstLow := slices.IndexFunc(all, func(pass string) bool {
		var at float64
		fmt.Sscanf(pass, "%g/", &at)
		return at < 900
	})
	for _, pass := range all[firstLow : firstLow+4] {
		if !slices.Contains(asked, pass) {
			t.Errorf("%s of the expert's first two steps is left out", pass)
		}
	}
	var worst float64
	for i, v := range want {
		worst = max(worst, math.Abs(float64(v-exact[i])))
	}
	if worst == 0 || worst > 0.5 {
		t.Errorf("the result is off by %g", worst)
	}
	for stop := 1; stop < 24; stop++ {
		if got, _, _ := runCached(t, of, stop); !slices.Equal(got, want) {
			t.Errorf("stopped after step %d, the run ends otherwise", stop)
		}
	}
	if _, err := denoise.NewEasyCache(of, 24, denoise.CacheState{Previous: make([]float32, 3), Input: make([]float32, 2)}); err == nil {
		t.Error("a state of tensors that do not go together is accepted")
	}
}

// TestGuidanceInterval computes one pass outside of the interval, and none for still steps.
func TestGuidanceInterval(t *testing.T) {
	var asked []string
	l := newLoop(t, denoise.Guidance{Low: 3, High: 3, Boundary: 0.9, Interval: [2]float64{0.5, 0.95}, Still: 1}, &asked)
	var passes []int
	l.After = func(s denoise.Step, _ []float32) error { passes = append(passes, s.Passes); return nil }
	first := noise(4)
	latent := slices.Clone(first)
	if err := l.Run(t.Context(), latent, buffers(4)); err != nil {
		t.Fatal(err)
	}
	for i, at := range l.Solver.Timesteps() {
		want := map[bool]int{true: 2, false: 1}[at >= 500 && at <= 950]
		if i == 0 {
			want = 0
		}
		if passes[i] != want {
			t.Errorf("%d passes at %g, want %d", passes[i], at, want)
		}
	}
}
