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

// stack is a model whose blocks add a residual to an embedding, which its head returns.
type stack struct {
	asked *[]string
	known map[int][]float32 // by prompt
	fail  *int              // calls until one fails; nil for never
}

func newStack(asked *[]string) stack { return stack{asked, map[int][]float32{}, nil} }

func (m stack) embed(x []float32) []float32 {
	y := make([]float32, len(x))
	for i, v := range x {
		y[i] = 0.3 * v
	}
	return y
}

func (m stack) blocks(x []float32, t float64, prompt int) []float32 {
	y := make([]float32, len(x))
	for i, v := range x {
		y[i] = 0.05*v + float32((1+t/1000)*math.Sin(float64(i)+t/700)) + float32(prompt)*0.1
	}
	return y
}

var errStack = errors.New("the device was interrupted")

func (m stack) call(text string) error {
	if m.fail != nil {
		if *m.fail--; *m.fail == 0 {
			return errStack
		}
	}
	*m.asked = append(*m.asked, text)
	return nil
}

func (m stack) Velocity(_ context.Context, x []float32, t float64, prompt int, out []float32) error {
	if err := m.call(fmt.Sprintf("%g/%d", t, prompt)); err != nil {
		return err
	}
	m.known[prompt] = m.blocks(x, t, prompt)
	for i, v := range m.embed(x) {
		out[i] = v + m.known[prompt][i]
	}
	return nil
}

func (m stack) Skip(_ context.Context, x []float32, t float64, prompt int, out []float32) error {
	if err := m.call(fmt.Sprintf("skip %g/%d", t, prompt)); err != nil {
		return err
	}
	for i, v := range m.embed(x) {
		out[i] = v + m.known[prompt][i]
	}
	return nil
}

func (m stack) Knows(prompt int) bool { return m.known[prompt] != nil }

func (m stack) Norms(_ context.Context, prompt int) ([]float32, error) {
	norms := make([]float32, len(m.known[prompt]))
	for i, v := range m.known[prompt] {
		norms[i] = float32(math.Abs(float64(v)))
	}
	return norms, nil
}

func (m stack) Signal(_ context.Context, t float64, projected bool) ([]float32, error) {
	signal := []float32{float32(math.Sin(t / 300)), float32(2 + math.Cos(t/500))}
	if projected {
		signal = append(signal, float32(t/100))
	}
	return signal, nil
}

const stackSteps = 24

// run is a run of a stack with a cache, which makes it from a state.
type stackRun struct {
	guidance denoise.Guidance
	cache    func(denoise.CacheState) (denoise.Cache, error)
	stop     int // steps after which it is begun again; -1 for not at all
	fail     int // calls of the model until one fails; 0 for none
}

func (r stackRun) do(t *testing.T) (latent []float32, asked []string, passes []int) {
	t.Helper()
	solver, err := denoise.New(denoise.UniPC, denoise.Schedule{Steps: stackSteps, Shift: 3})
	if err != nil {
		t.Fatal(err)
	}
	cache, err := r.cache(denoise.CacheState{})
	if err != nil {
		t.Fatal(err)
	}
	latent = noise(16)
	for {
		l := newLoop(t, r.guidance, &asked)
		l.Solver, l.Cache = solver, cache
		models := map[string]stack{}
		l.Model = func(_ context.Context, s denoise.Step) (denoise.Model, error) {
			if _, ok := models[s.Expert]; !ok {
				models[s.Expert] = newStack(&asked)
				if r.fail > 0 {
					m := models[s.Expert]
					m.fail = &r.fail
					models[s.Expert] = m
				}
			}
			return models[s.Expert], nil
		}
		l.Phase = func(_ denoise.Step, _ int, work func() error) error {
			err := work()
			if errors.Is(err, errStack) {
				err = work()
			}
			return err
		}
		ctx, cancel := context.WithCancel(t.Context())
		l.After = func(s denoise.Step, _ []float32) error {
			passes = append(passes, s.Passes)
			if s.Index+1 == r.stop {
				cancel()
			}
			return ctx.Err()
		}
		err := l.Run(ctx, latent, buffers(16))
		cancel()
		if err == nil {
			return latent, asked, passes
		}
		if r.stop < 0 {
			t.Fatal(err)
		}
		r.stop = -1
		if cache, err = r.cache(reread(t, cache.State())); err != nil {
			t.Fatal(err)
		}
		if solver, err = denoise.Restore(solver.State()); err != nil {
			t.Fatal(err)
		}
	}
}

var stackGuidance = denoise.Guidance{Low: 3, High: 3, Boundary: 0.9}

// stackCurves are ratios of 12 samples for each expert.
func stackCurves() denoise.Calibration {
	curve := func(from float64) denoise.Curve {
		var c denoise.Curve
		for i := range 12 {
			c.Ratios[0] = append(c.Ratios[0], 1-from*float64(i)/12)
			c.Ratios[1] = append(c.Ratios[1], 1+from*float64(i)/24)
		}
		return c
	}
	return denoise.Calibration{Experts: map[string]denoise.Curve{"high": curve(0.02), "low": curve(0.05)}}
}

// expected works out by plain loops which passes are computed and what the run gives: decide is
// told of a pass that follows one of the same expert.
func expected(t *testing.T, decide func(step, place, of, prompt int, ts []float64, computed int) bool) (latent []float32, asked []string) {
	solver := mustNew(t, denoise.UniPC, stackSteps, 3)
	ts := solver.Timesteps()
	latent = noise(16)
	first := slices.IndexFunc(ts, func(at float64) bool { return at < 900 })
	var known [2][]float32
	var computed [2]int
	m := newStack(new([]string))
	for i, at := range ts {
		from, of := 0, first
		if i >= first {
			from, of = first, len(ts)-first
		}
		var v [2][]float32
		for prompt := range 2 {
			if i > from && decide(i, i-from, of, prompt, ts, computed[prompt]) {
				asked = append(asked, fmt.Sprintf("skip %g/%d", at, prompt))
			} else {
				known[prompt], computed[prompt] = m.blocks(latent, at, prompt), i
				asked = append(asked, fmt.Sprintf("%g/%d", at, prompt))
			}
			v[prompt] = m.embed(latent)
			for j := range v[prompt] {
				v[prompt][j] += known[prompt][j]
			}
		}
		for j, n := range v[1] {
			v[0][j] = n + 3*(v[0][j]-n)
		}
		solver.Step(i, v[0], latent)
	}
	return latent, asked
}

// magDecide is MagCache's decision without a state: errors since the last computed pass.
func magDecide(c denoise.MagCache) func(step, place, of, prompt int, ts []float64, computed int) bool {
	return func(step, place, of, prompt int, ts []float64, computed int) bool {
		if float64(place) < math.Floor(c.Retention*float64(of)) {
			return false
		}
		expert := map[bool]string{true: "high", false: "low"}[ts[step] >= 900]
		ratio, sum := 1.0, 0.0
		for s := computed + 1; s <= step; s++ {
			samples := c.By.Experts[expert].Ratios[prompt]
			at := place - (step - s)
			nearest, best := 0, math.Inf(1)
			for k := range samples {
				if d := math.Abs(float64(at)/float64(of-1) - float64(k)/float64(len(samples)-1)); d < best-1e-12 {
					nearest, best = k, d
				}
			}
			ratio *= samples[nearest]
			sum += math.Abs(1 - ratio)
		}
		return sum < c.Threshold && step-computed <= c.Most
	}
}

func TestMagCache(t *testing.T) {
	for _, c := range []denoise.MagCache{
		{Threshold: 0.06, Most: 2, Retention: 0.1, By: stackCurves()},
		{Threshold: 0.3, Most: 5, Retention: 0.5, By: stackCurves()},
		{Threshold: 1e-9, Most: 2, By: stackCurves()},
	} {
		r := stackRun{stackGuidance, func(s denoise.CacheState) (denoise.Cache, error) { return denoise.NewMagCache(c, s) }, -1, 0}
		compareStack(t, r, magDecide(c))
	}
}

func TestTeaCache(t *testing.T) {
	by := denoise.TeaCacheRows[0]
	own := map[string][]float64{"high": {0.5, 2, 0.01}, "low": {1, 0}}
	last := denoise.TeaCacheRow{Name: "projected", Projected: true, First: 5, Polynomial: []float64{2, 0}}
	for _, c := range []denoise.TeaCache{
		{Threshold: 0.3, Steps: stackSteps, By: denoise.TeaCacheRow{First: 1}, Experts: own},
		{Threshold: 0.1, Steps: stackSteps, By: by},
		{Threshold: 0.5, Steps: stackSteps, By: last},
	} {
		r := stackRun{stackGuidance, func(s denoise.CacheState) (denoise.Cache, error) { return denoise.NewTeaCache(c, s) }, -1, 0}
		compareStack(t, r, func(step, place, of, prompt int, ts []float64, computed int) bool {
			if step < c.By.First || !c.By.Projected && step == stackSteps-1 {
				return false
			}
			p := c.By.Polynomial
			if c.Experts != nil {
				p = c.Experts[map[bool]string{true: "high", false: "low"}[ts[step] >= 900]]
			}
			var sum float64
			for s := computed + 1; s <= step; s++ {
				before, _ := stack{}.Signal(t.Context(), ts[s-1], c.By.Projected)
				now, _ := stack{}.Signal(t.Context(), ts[s], c.By.Projected)
				var change, size float64
				for i := range now {
					change += math.Abs(float64(now[i]) - float64(before[i]))
					size += math.Abs(float64(before[i]))
				}
				for i, v := range p {
					sum += v * math.Pow(change/size, float64(len(p)-1-i))
				}
			}
			return sum < c.Threshold
		})
	}
}

// compareStack compares a run with the plain one, whole, stopped at any step, and with calls
// that fail once.
func compareStack(t *testing.T, r stackRun, decide func(step, place, of, prompt int, ts []float64, computed int) bool) {
	t.Helper()
	want, wantAsked := expected(t, decide)
	got, asked, passes := r.do(t)
	if !slices.Equal(asked, wantAsked) {
		t.Fatalf("passes\n%q, want\n%q", asked, wantAsked)
	}
	if !slices.Equal(got, want) {
		t.Error("another latent than by plain loops")
	}
	computed := 0
	for _, n := range passes {
		computed += n
	}
	skipped := 0
	for _, pass := range asked {
		if pass[0] == 's' {
			skipped++
		}
	}
	if computed+skipped != 2*stackSteps {
		t.Errorf("%d passes reported, %d left out", computed, skipped)
	}
	t.Logf("%d of %d passes left out", skipped, 2*stackSteps)
	for stop := 1; stop < stackSteps; stop++ {
		again := r
		again.stop = stop
		if latent, _, _ := again.do(t); !slices.Equal(latent, want) {
			t.Errorf("stopped after step %d, the run ends otherwise", stop)
		}
	}
	for fail := 1; fail <= len(asked); fail++ {
		again := r
		again.fail = fail
		if latent, _, _ := again.do(t); !slices.Equal(latent, want) {
			t.Errorf("with call %d failing once, the run ends otherwise", fail)
		}
	}
}

// TestEasyCacheInterrupted begins steps again that were interrupted.
func TestEasyCacheInterrupted(t *testing.T) {
	r := stackRun{stackGuidance, func(s denoise.CacheState) (denoise.Cache, error) {
		return denoise.NewEasyCache(denoise.EasyCache{Threshold: 0.1, First: 3}, stackSteps, s)
	}, -1, 0}
	want, asked, _ := r.do(t)
	if len(asked) == 2*stackSteps {
		t.Fatal("nothing is left out")
	}
	for fail := range len(asked) {
		r.fail = fail + 1
		if got, again, _ := r.do(t); !slices.Equal(got, want) || !slices.Equal(again, asked) {
			t.Errorf("with call %d failing once, the run ends otherwise", fail+1)
		}
	}
}

// TestGap computes a pass that the step before it did not have.
func TestGap(t *testing.T) {
	g := stackGuidance
	g.Interval = [2]float64{0.5, 0.8}
	c := denoise.MagCache{Threshold: 10, Most: 100, By: stackCurves()}
	_, asked, _ := stackRun{g, func(s denoise.CacheState) (denoise.Cache, error) { return denoise.NewMagCache(c, s) }, -1, 0}.do(t)
	var negative []string
	for _, pass := range asked {
		if pass[len(pass)-1] == '1' {
			negative = append(negative, pass)
		}
	}
	if len(negative) < 3 || negative[0][0] == 's' || negative[1][0] != 's' {
		t.Errorf("the negative prompt's passes are %q", negative)
	}
	for name, state := range map[string]denoise.CacheState{
		"no latent":      {Expert: "low", Residuals: [2]denoise.PassState{{Next: 3}}},
		"latents differ": {Expert: "low", Input: make([]float32, 3), Negative: make([]float32, 2)},
	} {
		if _, err := denoise.NewMagCache(c, state); err == nil {
			t.Errorf("a state with %s is accepted", name)
		}
	}
}

// TestRecorder compares what is taken down with plain loops over the same run.
func TestRecorder(t *testing.T) {
	recorder := &denoise.Recorder{}
	r := stackRun{stackGuidance, func(denoise.CacheState) (denoise.Cache, error) { return recorder, nil }, -1, 0}
	latent, asked, _ := r.do(t)
	none := func(step, place, of, prompt int, ts []float64, computed int) bool { return false }
	if want, _ := expected(t, none); !slices.Equal(latent, want) || len(asked) != 2*stackSteps {
		t.Fatal("taking down changes the run")
	}
	curves := recorder.Curves()
	ts := mustNew(t, denoise.UniPC, stackSteps, 3).Timesteps()
	first := slices.IndexFunc(ts, func(at float64) bool { return at < 900 })
	for expert, n := range map[string]int{"high": first, "low": stackSteps - first} {
		c := curves[expert]
		if len(c.Ratios[0]) != n || len(c.Ratios[1]) != n || c.Ratios[0][0] != 1 || c.Ratios[1][0] != 1 {
			t.Fatalf("%s: %+v", expert, c)
		}
		if len(c.Polynomial) != min(5, n-1) {
			t.Errorf("%s: a polynomial of %d coefficients for %d steps", expert, len(c.Polynomial), n)
		}
	}
	// The residuals of the run once more.
	solver := mustNew(t, denoise.UniPC, stackSteps, 3)
	x := noise(16)
	m := newStack(new([]string))
	var before [2][]float32
	for i, at := range ts {
		var v [2][]float32
		for prompt := range 2 {
			now := m.blocks(x, at, prompt)
			if i > 0 && i != first {
				var sum float64
				for j := range now {
					sum += math.Abs(float64(now[j])) / math.Abs(float64(before[prompt][j])) / float64(len(now))
				}
				expert, place := "high", i
				if i > first {
					expert, place = "low", i-first
				}
				if got := curves[expert].Ratios[prompt][place]; math.Abs(got-sum) > 1e-5 {
					t.Errorf("step %d, prompt %d: ratio %g, want %g", i, prompt, got, sum)
				}
			}
			before[prompt] = now
			v[prompt] = m.embed(x)
			for j := range now {
				v[prompt][j] += now[j]
			}
		}
		for j, n := range v[1] {
			v[0][j] = n + 3*(v[0][j]-n)
		}
		solver.Step(i, v[0], x)
	}
	// The polynomial is nearest to what was taken down: moving a coefficient makes it worse.
	low := curves["low"].Polynomial
	var signals, changes []float64
	for _, s := range recorder.Steps[first+1:] {
		signals, changes = append(signals, s.Signal), append(changes, s.Change)
	}
	misfit := func(p []float64) (sum float64) {
		for i, x := range signals {
			y := 0.0
			for _, c := range p {
				y = y*x + c
			}
			sum += (y - changes[i]) * (y - changes[i])
		}
		return sum
	}
	best := misfit(low)
	for i := range low {
		for _, by := range []float64{0.999, 1.001} {
			moved := slices.Clone(low)
			moved[i] *= by
			if misfit(moved) < best {
				t.Errorf("a polynomial with coefficient %d times %g fits better: %g, not %g", i, by, misfit(moved), best)
			}
		}
	}
}

// TestWan22 has the published curve where its experts change.
func TestWan22(t *testing.T) {
	c := denoise.Wan22("h", "l")
	high, low := c.Experts["h"].Ratios[0], c.Experts["l"].Ratios[0]
	solver := mustNew(t, c.Solver, c.Steps, c.Shift)
	n := 0
	for _, at := range solver.Timesteps() {
		if at >= 1000*c.Boundary {
			n++
		}
	}
	if len(high) != n || len(high)+len(low) != 40 || high[0] != 1 || low[0] != 0.91076 || low[len(low)-1] != 0.79823 {
		t.Errorf("%d and %d samples, %v and %v; %d steps are the high-noise expert's", len(high), len(low), high, low, n)
	}
}
