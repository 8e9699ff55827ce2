package denoise_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gimbal/inference/denoise"
	"gimbal/inference/golden"
)

const bound = 1e-5

func newSolver(kind string, steps int, shift float64) (*denoise.Solver, error) {
	return denoise.New(kind, denoise.Schedule{Steps: steps, Shift: shift})
}

func mustNew(tb testing.TB, kind string, steps int, shift float64) *denoise.Solver {
	tb.Helper()
	s, err := newSolver(kind, steps, shift)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// float64s returns an F64 tensor of a case, a type that checkpoints do not have.
func float64s(t *testing.T, c golden.Case, name string) []float64 {
	t.Helper()
	file, err := os.ReadFile(filepath.Join(golden.Dir(t), "cases", c.Name+".safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	var header map[string]struct {
		DType   string `json:"dtype"`
		Offsets [2]int `json:"data_offsets"`
	}
	data := 8 + binary.LittleEndian.Uint64(file)
	if err := json.Unmarshal(file[8:data], &header); err != nil {
		t.Fatal(err)
	}
	entry := header[name]
	if entry.DType != "F64" {
		t.Fatalf("%s of %s is %q, want F64", name, c.Name, entry.DType)
	}
	values := make([]float64, (entry.Offsets[1]-entry.Offsets[0])/8)
	if _, err := binary.Decode(file[data:][entry.Offsets[0]:entry.Offsets[1]], binary.LittleEndian, values); err != nil {
		t.Fatal(err)
	}
	return values
}

func TestReference(t *testing.T) {
	for _, c := range golden.Cases(t, "sampler_") {
		t.Run(c.Name, func(t *testing.T) {
			var p struct {
				Solver string  `json:"solver"`
				Steps  int     `json:"steps"`
				Shift  float64 `json:"shift"`
				Model  string  `json:"model"`
			}
			c.Scalars(t, &p)
			if p.Model != "v = 0.3*x + sin(t/300)*c" {
				t.Fatalf("the case's model is %q, which this test does not know", p.Model)
			}
			s := mustNew(t, p.Solver, p.Steps, p.Shift)
			if got, want := s.Timesteps(), float64s(t, c, "timesteps"); !slices.Equal(got, want) {
				t.Errorf("timesteps %v, want %v", got, want)
			}
			if got, want := s.Sigmas(), float64s(t, c, "sigmas"); !slices.Equal(got, want) {
				t.Errorf("sigmas %v, want %v", got, want)
			}
			x, _ := c.F32(t, "noise")
			add, _ := c.F32(t, "c")
			velocity := make([]float32, len(x))
			checked := 0
			var worst float64
			for i, ts := range s.Timesteps() {
				sin := float32(math.Sin(ts / 300))
				for j := range velocity {
					velocity[j] = float32(0.3*x[j]) + float32(sin*add[j])
				}
				s.Step(i, velocity, x)
				if name := fmt.Sprintf("after_step%d", i); slices.Contains(c.Names(), name) {
					want, _ := c.F32(t, name)
					golden.Check(t, name, x, want, bound)
					worst = max(worst, golden.RelL2(x, want))
					checked++
				}
			}
			stored := 0
			for _, name := range c.Names() {
				if strings.HasPrefix(name, "after_step") {
					stored++
				}
			}
			if stored == 0 || checked != stored {
				t.Errorf("checked %d of %d stored samples", checked, stored)
			}
			t.Logf("%d samples, largest relative error %.2g", checked, worst)
		})
	}
}

// kinds lists solvers over the lengths that take different branches.
func kinds(f func(kind string, steps int, shift float64)) {
	for _, kind := range denoise.Names() {
		for _, steps := range []int{1, 2, 3, 4, 14, 15, 40} {
			f(kind, steps, 5)
		}
	}
}

// field is a velocity that depends on sample and time in no simple way.
func field(sigma float64, x, velocity []float32) {
	for i := range x {
		velocity[i] = float32(math.Sin(3*sigma+float64(i)) + 0.4*float64(x[i])*sigma)
	}
}

func noise(n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(2 * math.Sin(float64(7*i+1)))
	}
	return x
}

func TestResumeGivesTheSameBits(t *testing.T) {
	kinds(func(kind string, steps int, shift float64) {
		run := func(s *denoise.Solver, x []float32, kill int) []float32 {
			velocity := make([]float32, len(x))
			for i := s.Next(); i < s.Steps(); i++ {
				if i == kill {
					text, err := json.Marshal(s.State())
					if err != nil {
						t.Fatal(err)
					}
					var state denoise.State
					if err := json.Unmarshal(text, &state); err != nil {
						t.Fatal(err)
					}
					if s, err = denoise.Restore(state); err != nil {
						t.Fatal(err)
					}
				}
				field(s.Sigmas()[i], x, velocity)
				s.Step(i, velocity, x)
			}
			return x
		}
		want := run(mustNew(t, kind, steps, shift), noise(19), -1)
		for kill := range steps {
			if got := run(mustNew(t, kind, steps, shift), noise(19), kill); !slices.Equal(got, want) {
				t.Errorf("%s, %d steps: killed before step %d, the run ends otherwise", kind, steps, kill)
			}
		}
	})
}

func TestRestoredStateIsItsOwn(t *testing.T) {
	s := mustNew(t, denoise.UniPC, 4, 3)
	x, velocity := noise(8), make([]float32, 8)
	s.Step(0, velocity, x)
	state := s.State()
	r, err := denoise.Restore(state)
	if err != nil {
		t.Fatal(err)
	}
	want := slices.Clone(r.State().Newer)
	s.Step(1, x, slices.Clone(x))
	if !slices.Equal(r.State().Newer, want) {
		t.Error("a step of the first solver changed the restored one")
	}
}

// TestExactField checks both solvers on v = noise - clean, for which every step is
// exact: the straight path from noise to clean.
func TestExactField(t *testing.T) {
	kinds(func(kind string, steps int, shift float64) {
		s := mustNew(t, kind, steps, shift)
		start, clean := noise(16), make([]float32, 16)
		velocity, x := make([]float32, 16), make([]float32, 16)
		sigmas := s.Sigmas()
		for i := range x {
			clean[i] = float32(math.Cos(float64(3 * i)))
			velocity[i] = start[i] - clean[i]
			x[i] = clean[i] + float32(sigmas[0])*velocity[i]
		}
		for i := range steps {
			s.Step(i, velocity, x)
			want := make([]float32, len(x))
			for j := range want {
				want[j] = clean[j] + float32(sigmas[i+1])*velocity[j]
			}
			if e := golden.RelL2(x, want); e > 1e-5 {
				t.Errorf("%s, %d steps: after step %d off the straight path by %.2g", kind, steps, i, e)
			}
		}
	})
}

// TestOrder checks that the error on dx/dσ = x + cos 4σ, whose solution is known,
// falls by about four when the steps are halved.
func TestOrder(t *testing.T) {
	solution := func(sigma, scale float64) float64 {
		return scale*math.Exp(sigma) + (4*math.Sin(4*sigma)-math.Cos(4*sigma))/17
	}
	for _, kind := range []string{denoise.UniPC, denoise.DPMPP} {
		off := func(steps int) float64 {
			s := mustNew(t, kind, steps, 1)
			sigmas := s.Sigmas()
			x, velocity := []float32{float32(solution(sigmas[0], 0.5))}, make([]float32, 1)
			for i := range steps {
				velocity[0] = x[0] + float32(math.Cos(4*sigmas[i]))
				s.Step(i, velocity, x)
			}
			return math.Abs(float64(x[0]) - solution(0, 0.5))
		}
		coarse, fine := off(20), off(80)
		t.Logf("%s: error %.2g at 20 steps, %.2g at 80", kind, coarse, fine)
		if fine*8 > coarse {
			t.Errorf("%s: error %.2g at 20 steps and %.2g at 80, expected second order", kind, coarse, fine)
		}
	}
}

func TestLongRunsStayFinite(t *testing.T) {
	for _, kind := range []string{denoise.UniPC, denoise.DPMPP} {
		for _, shift := range []float64{0.1, 1, 10, 20} {
			s := mustNew(t, kind, 1000, shift)
			x, velocity := noise(4), make([]float32, 4)
			for i, sigma := range s.Sigmas()[:1000] {
				field(sigma, x, velocity)
				s.Step(i, velocity, x)
			}
			for _, v := range x {
				if !(math.Abs(float64(v)) < 100) {
					t.Fatalf("%s, shift %v, 1000 steps: ends at %v", kind, shift, x)
				}
			}
		}
	}
}

func TestBadArguments(t *testing.T) {
	for _, c := range []struct {
		kind  string
		steps int
		shift float64
		want  string
	}{
		{"heun", 10, 5, `"heun"`},
		{"", 10, 5, "sample_solver:"},
		{denoise.UniPC, 0, 5, "sample_steps: 0"},
		{denoise.DPMPP, -1, 5, "sample_steps: -1"},
		{denoise.UniPC, 1001, 5, "sample_steps: 1001"},
		{denoise.UniPC, 10, 0, "sample_shift: 0"},
		{denoise.UniPC, 10, -3, "sample_shift: -3"},
		{denoise.DPMPP, 10, math.NaN(), "sample_shift: NaN"},
		{denoise.DPMPP, 10, math.Inf(1), "sample_shift: +Inf"},
		{denoise.UniPC, 10, 1e12, "no noise between"},
	} {
		_, err := newSolver(c.kind, c.steps, c.shift)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("New(%q, %d, %v): %v, want an error with %q", c.kind, c.steps, c.shift, err, c.want)
		}
	}
}

func TestRestoreRefuses(t *testing.T) {
	s := mustNew(t, denoise.UniPC, 4, 3)
	s.Step(0, make([]float32, 8), noise(8))
	for name, spoil := range map[string]func(*denoise.State){
		"kind":    func(s *denoise.State) { s.Kind = "heun" },
		"next":    func(s *denoise.State) { s.Next = 5 },
		"none":    func(s *denoise.State) { s.Newer, s.Older, s.Last = nil, nil, nil },
		"early":   func(s *denoise.State) { s.Next = 0 },
		"lengths": func(s *denoise.State) { s.Older = s.Older[1:] },
		"dpm++":   func(s *denoise.State) { s.Kind = denoise.DPMPP },
	} {
		state := s.State()
		spoil(&state)
		if _, err := denoise.Restore(state); err == nil {
			t.Errorf("a state with bad %s was accepted", name)
		}
	}
}

func TestStepPanicsOutOfOrder(t *testing.T) {
	for name, misuse := range map[string]func(s *denoise.Solver){
		"skip":   func(s *denoise.Solver) { s.Step(1, noise(4), noise(4)) },
		"repeat": func(s *denoise.Solver) { s.Step(0, noise(4), noise(4)); s.Step(0, noise(4), noise(4)) },
		"length": func(s *denoise.Solver) { s.Step(0, noise(3), noise(4)) },
		"change": func(s *denoise.Solver) { s.Step(0, noise(4), noise(4)); s.Step(1, noise(5), noise(5)) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			misuse(mustNew(t, denoise.DPMPP, 4, 3))
		}()
	}
}

func TestStepDoesNotAllocate(t *testing.T) {
	for _, kind := range []string{denoise.UniPC, denoise.DPMPP} {
		s := mustNew(t, kind, 1000, 3)
		x, velocity := noise(64), make([]float32, 64)
		s.Step(0, velocity, x)
		if n := testing.AllocsPerRun(100, func() { s.Step(s.Next(), velocity, x) }); n != 0 {
			t.Errorf("%s: %v allocations a step", kind, n)
		}
	}
}
