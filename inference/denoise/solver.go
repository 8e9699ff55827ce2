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
	// start is the noise level before the first step, of the schedule without its shift.
	start float64
	// kept is the number of tensors of the sample's size that it keeps between steps, in
	// the order newer, older, last.
	kept int
	step func(s *Solver, velocity, x []float32)
}

var methods = []method{unipc, dpmpp}

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
	shift     float64
	timesteps []float64
	sigmas    []float32 // one more than steps; the last is 0

	next int // step to be taken next

	// The predictions of the clean sample by the last step and by the one before it,
	// and the corrected sample that the last step started from; empty before the first
	// step, and those that the method does not keep.
	newer, older, last []float32
}

// New returns the solver of a name for 1 to 1000 steps and a positive shift of the
// schedule, σ' = shift*σ / (1 + (shift-1)*σ). Errors are SettingErrors.
func New(name string, steps int, shift float64) (*Solver, error) {
	i := slices.IndexFunc(methods, func(m method) bool { return m.name == name })
	switch {
	case i < 0:
		return nil, &inference.SettingError{Setting: "sample_solver", Mistake: inference.NotAChoice, Found: fmt.Sprintf("%q", name), Want: fmt.Sprintf("one of %q", Names())}
	case steps < 1 || steps > maxSteps:
		return nil, &inference.SettingError{Setting: "sample_steps", Mistake: inference.OutOfRange, Found: fmt.Sprint(steps), Want: fmt.Sprintf("1 to %d", maxSteps),
			Args: map[string]any{"Low": 1, "High": maxSteps}}
	case !(shift > 0) || math.IsInf(shift, 0):
		return nil, badShift(shift, "a positive number")
	}
	s := &Solver{method: methods[i], shift: shift}
	s.schedule(steps)
	for i, sigma := range s.sigmas[:steps] {
		if !(sigma > s.sigmas[i+1]) {
			return nil, badShift(shift, fmt.Sprintf("a shift nearer to 1, or fewer steps: it leaves no noise between steps %d and %d of %d", i+1, i+2, steps))
		}
	}
	return s, nil
}

func badShift(shift float64, want string) error {
	return &inference.SettingError{Setting: "sample_shift", Mistake: inference.Unusable, Found: fmt.Sprint(shift), Want: want}
}

// schedule fills timesteps and sigmas as the reference's set_timesteps does. Where a
// large shift makes the first two timesteps of UniPC equal, the reference skips a step
// and then runs off its schedule; here such a run takes every step.
func (s *Solver) schedule(steps int) {
	start := s.method.start
	step := -start / float64(steps)
	for i := range steps {
		sigma := start + float64(float64(i)*step)
		sigma = float64(s.shift*sigma) / (1 + float64((s.shift-1)*sigma))
		s.timesteps = append(s.timesteps, math.Trunc(sigma*trainSteps))
		s.sigmas = append(s.sigmas, float32(sigma))
	}
	s.sigmas = append(s.sigmas, 0)
}

// Kept returns the number of tensors of the sample's size that the solver keeps between
// steps.
func (s *Solver) Kept() int { return s.method.kept }

// Steps returns the number of steps.
func (s *Solver) Steps() int { return len(s.timesteps) }

// Next returns the step to be taken next, Steps() when all are done.
func (s *Solver) Next() int { return s.next }

// Timesteps returns the integer timestep that the model is given at each step.
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
	if i == 0 {
		s.allocate(len(x))
	}
	if len(velocity) != len(x) || len(x) != len(s.newer) {
		panic(fmt.Sprintf("denoise: velocity of %d and sample of %d values, expected %d", len(velocity), len(x), len(s.newer)))
	}
	s.method.step(s, velocity, x)
	s.next++
}

func (s *Solver) allocate(n int) {
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
