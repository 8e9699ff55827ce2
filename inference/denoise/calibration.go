package denoise

import (
	"context"
	"math"
	"slices"
)

// Calibration is what one run that left nothing out told of a model: what MagCache and TeaCache
// go by.
type Calibration struct {
	Solver    string           `json:"sample_solver"`
	Steps     int              `json:"sample_steps"`
	HighSteps int              `json:"high_steps,omitempty"`
	Shift     float64          `json:"sample_shift"`
	Boundary  float64          `json:"boundary"`
	Experts   map[string]Curve `json:"experts"`
}

// Curve is what is known of an expert.
type Curve struct {
	// Ratios are by how much the norm of what the blocks add changes from one of the expert's
	// steps to the next, as the mean over the tokens, under each prompt; 1 for the first step.
	// Without any of the negative prompt those of the prompt hold for it too.
	Ratios [2][]float64 `json:"magcache"`
	// Polynomial turns the relative change of the timestep's embedding into that of the
	// velocity, the highest power first.
	Polynomial []float64 `json:"teacache,omitempty"`
}

// ratio returns that of a step of a schedule of any length, by the nearest sample.
func (c Curve) ratio(prompt int, step Step) float64 {
	samples := c.Ratios[prompt]
	if len(samples) == 0 {
		samples = c.Ratios[Prompt]
	}
	at := float64(step.Place) * float64(len(samples)-1) / float64(max(1, step.Of-1))
	return samples[int(math.RoundToEven(at))]
}

// Wan22 returns MagCache's own calibration of Wan2.2 I2V A14B
// (https://github.com/Zehong-Ma/MagCache), whose experts have these names. It has none for
// TeaCache.
func Wan22(high, low string) Calibration {
	return Calibration{Solver: UniPC, Steps: len(wan22Ratios), Shift: 5, Boundary: 0.9, Experts: map[string]Curve{
		high: {Ratios: [2][]float64{wan22Ratios[:wan22High]}},
		low:  {Ratios: [2][]float64{wan22Ratios[wan22High:]}},
	}}
}

// wan22Ratios are of 40 steps, of which the first wan22High are the high-noise expert's.
var wan22Ratios = []float64{
	1, .99191, .99356, .99326, .99251, .99393, .9943, .99276, .99389, .99274, .99316, .99379, .99268, .99222, .99175,
	.91076, .98931, .99087, .98852, .98895, .98806, .9871, .98613, .98434, .983, .98185, .98131, .9783, .97619, .97264,
	.97088, .96568, .96045, .95322, .94579, .93297, .91699, .89174, .8541, .79823,
}

const wan22High = 15

// Recorder is a Cache that leaves nothing out and takes down what others go by.
type Recorder struct {
	Steps  []Recorded
	expert string
	// Of the step at hand and of the one before it: the norms under each prompt, the velocity
	// and the timestep's embedding.
	norms, normsBefore       [2][]float32
	velocity, velocityBefore []float32
	signal, signalBefore     []float32
}

// Recorded is what a Recorder takes down of a step; 0 where the step before it was another
// expert's, or had no such pass.
type Recorded struct {
	Step   Step
	Ratios [2]float64 // of the norms
	Signal float64    // relative change of the timestep's embedding
	Change float64    // relative change of the velocity under the prompt
}

func (r *Recorder) Kept() int { return 2 }

func (r *Recorder) State() CacheState {
	return CacheState{Expert: r.expert, Recorded: r.Steps, Previous: r.signal, Input: r.norms[Prompt], Negative: r.norms[Negative], Output: r.velocity}
}

// NewRecorder returns one that goes on from a state; the zero state begins anew.
func NewRecorder(from CacheState) *Recorder {
	from = from.cloned()
	r := &Recorder{Steps: slices.Clone(from.Recorded), expert: from.Expert, velocity: from.Output, signal: from.Previous}
	for prompt, norms := range [2][]float32{from.Input, from.Negative} {
		if len(norms) > 0 {
			r.norms[prompt] = norms
		}
	}
	return r
}

func (r *Recorder) begin(ctx context.Context, m Model, step Step, _ []float32) error {
	signal, err := m.(Blocks).Signal(ctx, step.Timestep, false)
	if err != nil {
		return err
	}
	r.normsBefore, r.velocityBefore, r.signalBefore = r.norms, r.velocity, r.signal
	if step.Expert != r.expert {
		r.expert = step.Expert
		r.normsBefore, r.velocityBefore, r.signalBefore = [2][]float32{}, nil, nil
	}
	r.norms, r.velocity, r.signal = [2][]float32{}, nil, signal
	now := Recorded{Step: step}
	if r.signalBefore != nil {
		now.Signal = relativeChange(signal, r.signalBefore)
	}
	r.Steps = append(r.Steps, now)
	return nil
}

func (r *Recorder) pass(ctx context.Context, m Model, step Step, x []float32, prompt int, out []float32) (bool, error) {
	if err := m.Velocity(ctx, x, step.Timestep, prompt, out); err != nil {
		return false, err
	}
	norms, err := m.(Blocks).Norms(ctx, prompt)
	if err != nil {
		return false, err
	}
	now := &r.Steps[len(r.Steps)-1]
	if before := r.normsBefore[prompt]; before != nil {
		now.Ratios[prompt] = meanRatio(norms, before)
	}
	r.norms[prompt] = norms
	if prompt == Prompt {
		if r.velocityBefore != nil {
			now.Change = relativeChange(out, r.velocityBefore)
		}
		r.velocity = slices.Clone(out)
	}
	return true, nil
}

// meanRatio returns the mean of a/b where b is not 0.
func meanRatio(a, b []float32) float64 {
	var sum float64
	n := 0
	for i, v := range a {
		if b[i] != 0 {
			sum += float64(v) / float64(b[i])
			n++
		}
	}
	return sum / float64(max(1, n))
}

// Curves returns what was taken down, by expert.
func (r *Recorder) Curves() map[string]Curve {
	curves := map[string]Curve{}
	signals, changes := map[string][]float64{}, map[string][]float64{}
	for _, s := range r.Steps {
		expert := s.Step.Expert
		c := curves[expert]
		for prompt := range s.Step.Passes {
			ratio := s.Ratios[prompt]
			if ratio == 0 {
				ratio = 1
			}
			c.Ratios[prompt] = append(c.Ratios[prompt], rounded(ratio))
		}
		if s.Change > 0 && s.Signal > 0 {
			signals[expert], changes[expert] = append(signals[expert], s.Signal), append(changes[expert], s.Change)
		}
		curves[expert] = c
	}
	for expert, c := range curves {
		c.Polynomial = fit(signals[expert], changes[expert])
		curves[expert] = c
	}
	return curves
}

// rounded returns a ratio with the digits that are worth keeping.
func rounded(ratio float64) float64 { return math.Round(ratio*1e5) / 1e5 }

// degree is that of TeaCache's polynomials.
const degree = 4

// fit returns the polynomial, the highest power first, that is nearest to points by the sum of
// the squares; of a lower degree where there are too few points, nil where there are none.
func fit(x, y []float64) []float64 {
	n := min(degree+1, len(x))
	if n == 0 {
		return nil
	}
	// The normal equations, in units of the largest x.
	unit := slices.Max(x)
	system := make([][]float64, n)
	for i := range system {
		system[i] = make([]float64, n+1)
		for k, at := range x {
			power := math.Pow(at/unit, float64(i))
			for j := range n {
				system[i][j] += power * math.Pow(at/unit, float64(j))
			}
			system[i][n] += power * y[k]
		}
	}
	coefficients := solve(system)
	for i := range coefficients {
		coefficients[i] /= math.Pow(unit, float64(i))
	}
	slices.Reverse(coefficients)
	return coefficients
}

// solve returns the solution of a system of equations, each with its right side behind it, by
// elimination with pivots.
func solve(rows [][]float64) []float64 {
	n := len(rows)
	for i := range n {
		for j := i + 1; j < n; j++ {
			if math.Abs(rows[j][i]) > math.Abs(rows[i][i]) {
				rows[i], rows[j] = rows[j], rows[i]
			}
		}
		for j := range n {
			if j == i || rows[i][i] == 0 {
				continue
			}
			by := rows[j][i] / rows[i][i]
			for k := i; k <= n; k++ {
				rows[j][k] -= by * rows[i][k]
			}
		}
	}
	solution := make([]float64, n)
	for i := range n {
		if rows[i][i] != 0 {
			solution[i] = rows[i][n] / rows[i][i]
		}
	}
	return solution
}
