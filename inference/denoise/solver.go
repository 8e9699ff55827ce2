package denoise

import (
	"fmt"
	"math"
	"slices"

	"gimbal/inference"
)

const (
	trainSteps = 1000 // timesteps the model was trained on
	maxSteps   = 1000
)

// method is one way to solve the equation. Another one is a file and a row in methods.
type method struct {
	name string
	// levels are the noise levels before the steps, of the schedule without its shift.
	levels func(steps int) []float64
	// shifted returns a level with the shift of the schedule, and timestep what the model is
	// given at a noise level.
	shifted  func(shift, level float64) float64
	timestep func(sigma float64) float64
	// kept is the number of tensors of the sample's size that it keeps between steps, in
	// the order newer, older, last.
	kept int
	step func(s *Solver, velocity, x []float32)
}

var methods = []method{unipc, dpmpp, euler}

// Names returns the names of the solvers, as the reference spells them.
func Names() (names []string) {
	for _, m := range methods {
		names = append(names, m.name)
	}
	return names
}

// Solver takes a sample from noise to picture in a fixed number of steps. It is not
// safe for concurrent use.
type Solver struct {
	method    method
	schedule  Schedule
	timesteps []float64
	sigmas    []float32 // one more than steps; the last is 0

	next int // step to be taken next
	size int // of the sample; 0 before the first step

	// The predictions of the clean sample by the last step and by the one before it,
	// and the corrected sample that the last step started from; empty before the first
	// step, and those that the method does not keep.
	newer, older, last []float32

	// Of a model of few steps: what draws noise, and its level for each step but the first.
	draw    func(dst []float32)
	renoise []float32
}

// Schedule says which noise levels a solver goes through.
type Schedule struct {
	Steps int     // 1 to 1000
	Shift float64 // positive: σ' = shift*σ / (1 + (shift-1)*σ)
	// HighSteps, unless 0, take the place of the steps that are the high-noise expert's by
	// Boundary, a share of the schedule. The other steps stay.
	HighSteps int
	Boundary  float64
}

// New returns the solver of a name. Errors are SettingErrors.
func New(name string, of Schedule) (*Solver, error) {
	i := slices.IndexFunc(methods, func(m method) bool { return m.name == name })
	switch {
	case i < 0:
		return nil, &inference.SettingError{Setting: "sample_solver", Mistake: inference.NotAChoice, Found: fmt.Sprintf("%q", name), Want: fmt.Sprintf("one of %q", Names())}
	case of.Steps < 1 || of.Steps > maxSteps:
		return nil, badSteps("sample_steps", of.Steps, 1)
	case of.HighSteps < 0 || of.HighSteps > maxSteps:
		return nil, badSteps("high_steps", of.HighSteps, 0)
	case !(of.Shift > 0) || math.IsInf(of.Shift, 0):
		return nil, badShift(of.Shift, "a positive number")
	}
	s := &Solver{method: methods[i], schedule: of}
	s.plan()
	for i, sigma := range s.sigmas[:s.Steps()] {
		if !(sigma > s.sigmas[i+1]) {
			return nil, badShift(of.Shift, fmt.Sprintf("a shift nearer to 1, or fewer steps: it leaves no noise between steps %d and %d of %d", i+1, i+2, s.Steps()))
		}
	}
	return s, nil
}

func badSteps(setting string, found, low int) error {
	return &inference.SettingError{Setting: setting, Mistake: inference.OutOfRange, Found: fmt.Sprint(found), Want: fmt.Sprintf("%d to %d", low, maxSteps),
		Args: map[string]any{"Low": low, "High": maxSteps}}
}

func badShift(shift float64, want string) error {
	return &inference.SettingError{Setting: "sample_shift", Mistake: inference.Unusable, Found: fmt.Sprint(shift), Want: want}
}

// plan fills timesteps and sigmas. Where a large shift makes the first two timesteps of
// UniPC equal, the reference skips a step and then runs off its schedule; here such a run
// takes every step.
func (s *Solver) plan() {
	levels := s.method.levels(s.schedule.Steps)
	high := slices.IndexFunc(levels, func(level float64) bool { return !highNoise(s.timestep(level), s.schedule.Boundary) })
	if n := s.schedule.HighSteps; n > 0 && high > 0 {
		levels = append(between(levels[0], levels[high], n), levels[high:]...)
	}
	for _, level := range levels {
		s.timesteps = append(s.timesteps, s.timestep(level))
		s.sigmas = append(s.sigmas, float32(s.method.shifted(s.schedule.Shift, level)))
	}
	s.sigmas = append(s.sigmas, 0)
}

// timestep returns that of a level.
func (s *Solver) timestep(level float64) float64 {
	return s.method.timestep(s.method.shifted(s.schedule.Shift, level))
}

// between returns n levels, evenly spaced from one down to another, which is none of them.
func between(from, to float64, n int) []float64 {
	levels := make([]float64, n)
	for i := range levels {
		levels[i] = from + (to-from)*float64(i)/float64(n)
	}
	return levels
}

// levelsFrom spaces levels as the reference's set_timesteps does, from start.
func levelsFrom(start float64) func(steps int) []float64 {
	return func(steps int) []float64 {
		levels := make([]float64, steps)
		step := -start / float64(steps)
		for i := range levels {
			levels[i] = start + float64(float64(i)*step)
		}
		return levels
	}
}

// shifted and truncated are the reference's.
func shifted(shift, level float64) float64 {
	return float64(shift*level) / (1 + float64((shift-1)*level))
}

func truncated(sigma float64) float64 { return math.Trunc(sigma * trainSteps) }

// Kept returns the number of tensors of the sample's size that the solver keeps between
// steps.
func (s *Solver) Kept() int { return s.method.kept }

// Steps returns the number of steps.
func (s *Solver) Steps() int { return len(s.timesteps) }

// Next returns the step to be taken next, Steps() when all are done.
func (s *Solver) Next() int { return s.next }

// Timesteps returns what the model is given as the time at each step, 0 to 1000.
func (s *Solver) Timesteps() []float64 { return slices.Clone(s.timesteps) }

// Sigmas returns the noise level before each step and after the last one, float32 values.
func (s *Solver) Sigmas() []float64 {
	sigmas := make([]float64, len(s.sigmas))
	for i, sigma := range s.sigmas {
		sigmas[i] = float64(sigma)
	}
	return sigmas
}

// Step takes step i: x is the sample at Timesteps()[i] and becomes the sample at the
// next one; velocity is the model's output for x. Steps are taken in order, each once,
// with samples of one length; Step panics otherwise. Only the first call allocates.
func (s *Solver) Step(i int, velocity, x []float32) {
	if i != s.next || i >= s.Steps() {
		panic(fmt.Sprintf("denoise: step %d, expected step %d of %d", i, s.next, s.Steps()))
	}
	if s.size == 0 {
		s.allocate(len(x))
	}
	if len(velocity) != len(x) || len(x) != s.size {
		panic(fmt.Sprintf("denoise: velocity of %d and sample of %d values, expected %d", len(velocity), len(x), s.size))
	}
	s.method.step(s, velocity, x)
	s.next++
}

func (s *Solver) allocate(n int) {
	s.size = n
	for _, tensor := range s.tensors() {
		*tensor = make([]float32, n)
	}
}

// tensors returns those that the solver keeps.
func (s *Solver) tensors() []*[]float32 {
	return []*[]float32{&s.newer, &s.older, &s.last}[:s.method.kept]
}

// lambda returns the half log signal-to-noise ratio at sigma, -Inf for 1 and +Inf for 0.
func lambda(sigma float32) float32 { return log(1-sigma) - log(sigma) }

// log, expm1 and exp are the float32 functions, rounded correctly.
func log(x float32) float32   { return float32(math.Log(float64(x))) }
func expm1(x float32) float32 { return float32(math.Expm1(float64(x))) }
func exp(x float32) float32   { return float32(math.Exp(float64(x))) }
