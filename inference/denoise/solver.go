package denoise

import (
	"fmt"
	"math"
	"slices"
)

// The names of the solvers, as the command line spells them.
const (
	UniPC = "unipc"
	DPMPP = "dpm++"
)

const (
	trainSteps = 1000 // timesteps the model was trained on
	maxSteps   = 1000
)

// Solver takes a sample from noise to picture in a fixed number of steps. It is not
// safe for concurrent use.
type Solver struct {
	kind      string
	shift     float64
	timesteps []float64
	sigmas    []float32 // one more than steps; the last is 0

	next int // step to be taken next

	// The predictions of the clean sample by the last step and by the one before it,
	// and the corrected sample that the last step started from. They are empty before
	// the first step; DPMPP needs the newest prediction only.
	newer, older, last []float32
}

// New returns a solver of the given kind, UniPC or DPMPP, for 1 to 1000 steps and a
// positive shift of the schedule, σ' = shift*σ / (1 + (shift-1)*σ).
func New(kind string, steps int, shift float64) (*Solver, error) {
	if kind != UniPC && kind != DPMPP {
		return nil, fmt.Errorf("sample_solver: found %q, expected %q or %q", kind, UniPC, DPMPP)
	}
	if steps < 1 || steps > maxSteps {
		return nil, fmt.Errorf("sample_steps: found %d, expected 1 to %d", steps, maxSteps)
	}
	if !(shift > 0) || math.IsInf(shift, 0) {
		return nil, fmt.Errorf("sample_shift: found %v, expected a positive number", shift)
	}
	s := &Solver{kind: kind, shift: shift}
	s.schedule(steps)
	for i, sigma := range s.sigmas[:steps] {
		if !(sigma > s.sigmas[i+1]) {
			return nil, fmt.Errorf("sample_shift: found %v, which leaves no noise between steps %d and %d of %d: expected a shift nearer to 1 or fewer steps",
				shift, i+1, i+2, steps)
		}
	}
	return s, nil
}

// schedule fills timesteps and sigmas as the reference's set_timesteps does. Where a
// large shift makes the first two timesteps of UniPC equal, the reference skips a step
// and then runs off its schedule; here such a run takes every step.
func (s *Solver) schedule(steps int) {
	start := 1.0
	if s.kind == UniPC { // sigma_max, which passed through float32
		start = float64(float32(1 - 1.0/trainSteps))
	}
	step := -start / float64(steps)
	for i := range steps {
		sigma := start + float64(float64(i)*step)
		sigma = float64(s.shift*sigma) / (1 + float64((s.shift-1)*sigma))
		s.timesteps = append(s.timesteps, math.Trunc(sigma*trainSteps))
		s.sigmas = append(s.sigmas, float32(sigma))
	}
	s.sigmas = append(s.sigmas, 0)
}

// Kind returns UniPC or DPMPP.
func (s *Solver) Kind() string { return s.kind }

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
		panic(fmt.Sprintf("sampler: step %d, expected step %d of %d", i, s.next, s.Steps()))
	}
	if i == 0 {
		s.allocate(len(x))
	}
	if len(velocity) != len(x) || len(x) != len(s.newer) {
		panic(fmt.Sprintf("sampler: velocity of %d and sample of %d values, expected %d", len(velocity), len(x), len(s.newer)))
	}
	if s.kind == UniPC {
		s.stepUniPC(velocity, x)
	} else {
		s.stepDPMPP(velocity, x)
	}
	s.next++
}

func (s *Solver) allocate(n int) {
	s.newer = make([]float32, n)
	if s.kind == UniPC {
		s.older, s.last = make([]float32, n), make([]float32, n)
	}
}

// lambda returns the half log signal-to-noise ratio at sigma, -Inf for 1 and +Inf for 0.
func lambda(sigma float32) float32 { return log(1-sigma) - log(sigma) }

// log, expm1 and exp are the float32 functions, rounded correctly.
func log(x float32) float32   { return float32(math.Log(float64(x))) }
func expm1(x float32) float32 { return float32(math.Expm1(float64(x))) }
func exp(x float32) float32   { return float32(math.Exp(float64(x))) }
