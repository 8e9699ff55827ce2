package denoise

// DPMPP is the name of DPM-Solver++.
const DPMPP = "dpm++"

var dpmpp = method{name: DPMPP, levels: levelsFrom(1), shifted: shifted, timestep: truncated, kept: 1, step: (*Solver).stepDPMPP}

// stepDPMPP is DPM-Solver++(2M) with the midpoint rule: order one in the first and the
// last step, else two. Source: Lu et al., DPM-Solver++: Fast Solver for Guided Sampling
// of Diffusion Probabilistic Models (2022), algorithm 2.
func (s *Solver) stepDPMPP(velocity, x []float32) {
	from, to := s.sigmas[s.next], s.sigmas[s.next+1]
	h := lambda(to) - lambda(from)
	scale := to / from
	d0 := (1 - to) * (exp(-h) - 1)
	d1 := 0.5 * d0

	second := s.next > 0 && s.next < s.Steps()-1
	var invR float32 // h over the last step's, 0 if that one started from pure noise
	if second {
		invR = 1 / ((lambda(from) - lambda(s.sigmas[s.next-1])) / h)
	}
	for i, v := range velocity {
		m := x[i] - float32(from*v)
		x[i] = float32(scale*x[i]) - float32(d0*m)
		if second {
			x[i] -= float32(d1 * float32(invR*(m-s.newer[i])))
		}
		s.newer[i] = m
	}
}
