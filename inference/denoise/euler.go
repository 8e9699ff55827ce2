package denoise

// Euler is the name of Euler's method.
const Euler = "euler"

// Its schedule is the one of step-distilled models, in float32 as torch computes it: levels
// evenly spaced from 1 to 0, and timesteps that are not rounded (lightx2v's Wan2.2-Lightning).
var euler = method{name: Euler, levels: evenLevels, shifted: shifted32, timestep: timestep32, step: (*Solver).stepEuler}

// stepEuler is x += (σ' - σ) * v.
func (s *Solver) stepEuler(velocity, x []float32) {
	h := s.sigmas[s.next+1] - s.sigmas[s.next]
	for i, v := range velocity {
		x[i] += float32(h * v)
	}
}

// evenLevels is torch.linspace(1, 0, steps+1), without its end.
func evenLevels(steps int) []float64 {
	levels := make([]float64, steps)
	step := float32(-1 / float64(steps))
	for i := range levels {
		if levels[i] = float64(1 + float32(step*float32(i))); i >= (steps+1)/2 {
			levels[i] = float64(-float32(step * float32(steps-i)))
		}
	}
	return levels
}

func shifted32(shift, level float64) float64 {
	s, u := float32(shift), float32(level)
	return float64(float32(s*u) / (1 + float32((s-1)*u)))
}

func timestep32(sigma float64) float64 { return float64(float32(trainSteps * float32(sigma))) }
