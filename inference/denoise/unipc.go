package denoise

// UniPC is the name of UniPC.
const UniPC = "unipc"

// Its sigma_max passed through float32 in the reference.
var unipc = method{name: UniPC, levels: levelsFrom(float64(float32(1 - 1.0/trainSteps))), shifted: shifted, timestep: truncated, kept: 3, step: (*Solver).stepUniPC}

// stepUniPC corrects the sample with the new model output (UniC), then predicts the
// next one (UniP), in the B(h) = e^-h - 1 variant (bh2) on predictions of the clean
// sample. Source: Zhao et al., UniPC: A Unified Predictor-Corrector Framework for Fast
// Sampling of Diffusion Models (2023), algorithms 5 and 6.
//
// The orders rise from one and fall to one: the last step has no second noise level
// below it.
func (s *Solver) stepUniPC(velocity, x []float32) {
	var corrector update
	if s.next > 0 {
		corrector = s.corrector(s.next - 1)
	}
	predictor := s.predictor(s.next)
	sigma := s.sigmas[s.next]
	for i, v := range velocity {
		m := x[i] - float32(sigma*v)
		if s.next > 0 {
			x[i] = corrector.apply(s.last[i], s.newer[i], s.older[i], m)
		}
		s.older[i], s.newer[i], s.last[i] = s.newer[i], m, x[i]
		x[i] = predictor.apply(x[i], m, s.older[i], m)
	}
}

// order returns the order of the update from a step to the next.
func (s *Solver) order(step int) int { return min(2, step+1, s.Steps()-step) }

// update is one exponential-integrator update from the noise level of a step to the
// next one's:
//
//	sample*x - output*(m0 + rhoPast*(m1-m0)/rk + rhoNew*(m-m0))
//
// where m0 is the model output at the step, m1 the one before and m the one after it.
type update struct {
	sample, output  float32
	rk              float32 // 0 in an update of order one, which has no m1
	rhoPast, rhoNew float32
}

// predictor returns UniP's update at a step.
func (s *Solver) predictor(step int) update {
	from, to := s.sigmas[step], s.sigmas[step+1]
	h := lambda(to) - lambda(from)
	u := update{sample: to / from, output: (1 - to) * expm1(-h)}
	if s.order(step) == 2 {
		u.rk = (lambda(s.sigmas[step-1]) - lambda(from)) / h
		u.rhoPast = 0.5
	}
	return u
}

// corrector returns UniC's update at a step: the weight is a half at order one; at
// order two the weights solve [1 1; rk 1] rho = [b1 b2], by elimination with the larger
// pivot, as LAPACK does it.
func (s *Solver) corrector(step int) update {
	u := s.predictor(step)
	if u.rk == 0 {
		u.rhoNew = 0.5
		return u
	}
	hh := lambda(s.sigmas[step]) - lambda(s.sigmas[step+1])
	phi1 := expm1(hh)
	phi2 := phi1/hh - 1
	phi3 := phi2/hh - 0.5
	b1, b2 := phi2/phi1, phi3*2/phi1
	if rk := u.rk; rk < -1 {
		l := 1 / rk
		u.rhoNew = (b1 - float32(l*b2)) / (1 - l)
		u.rhoPast = (b2 - u.rhoNew) / rk
	} else {
		u.rhoNew = (b2 - float32(rk*b1)) / (1 - rk)
		u.rhoPast = b1 - u.rhoNew
	}
	return u
}

func (u *update) apply(x, m0, m1, m float32) float32 {
	var d float32
	if u.rk != 0 {
		d = float32(u.rhoPast * ((m1 - m0) / u.rk))
	}
	d += float32(u.rhoNew * (m - m0))
	return float32(u.sample*x) - float32(u.output*m0) - float32(u.output*d)
}
