package denoise_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"gimbal/inference"
	"gimbal/inference/denoise"
	"gimbal/inference/golden"
)

// fewSteps are a case's scalars about its steps.
type fewSteps struct {
	Shift      float64
	Index      []int `json:"timesteps_index"`
	Timesteps  []float64
	SigmaX0    []float64 `json:"sigma_x0"`
	SigmaNoise []float64 `json:"sigma_noise"`
	Chunk      int
	Chunks     int
}

func TestFewStepsSchedule(t *testing.T) {
	for _, c := range golden.CausalCases(t, "schedule_") {
		var want fewSteps
		c.Scalars(t, &want)
		s, err := denoise.NewFewSteps(denoise.FewSteps{Index: want.Index, Shift: want.Shift})
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Timesteps(); !slices.Equal(got, want.Timesteps) {
			t.Errorf("%s: timesteps %v, want %v", c.Name, got, want.Timesteps)
		}
		close(t, c.Name+": for the clean sample", s.Sigmas(), append(slices.Clone(want.SigmaX0), 0))

		all := mustNew(t, denoise.UniPC, 1000, want.Shift)
		raw := c.Tensor(t, "all_timesteps").Data
		for i, at := range all.Timesteps() {
			if stored := binary.LittleEndian.Uint32(raw[4*i:]); uint32(at) != stored {
				t.Fatalf("%s: timestep %d is %g, want %d", c.Name, i, at, stored)
			}
		}
		sigmas, _ := c.F32(t, "all_sigmas")
		stored := make([]float64, len(sigmas))
		for i, v := range sigmas {
			stored[i] = float64(v)
		}
		close(t, c.Name+": all", all.Sigmas(), stored)

		// What noise is added at: the part of it in what a step makes of nothing.
		one := make([]float32, 1)
		noisy, err := denoise.NewFewSteps(denoise.FewSteps{Index: want.Index, Shift: want.Shift, Noise: func(dst []float32) { dst[0] = 1 }})
		if err != nil {
			t.Fatal(err)
		}
		var levels []float64
		for i := range want.Index[1:] {
			one[0] = 0
			noisy.Step(i, []float32{0}, one)
			levels = append(levels, float64(one[0]))
		}
		close(t, c.Name+": for the noise", levels, want.SigmaNoise[1:])
	}
}

func close(t *testing.T, what string, got, want []float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d levels, want %d", what, len(got), len(want))
		return
	}
	for i := range want {
		if math.Abs(got[i]-want[i]) > 1e-7 {
			t.Errorf("%s: level %d is %v, want %v", what, i, got[i], want[i])
		}
	}
}

// TestFewStepsSamples takes the reference's steps with its velocities and noise.
func TestFewStepsSamples(t *testing.T) {
	for _, c := range golden.CausalCases(t, "sample_") {
		var of fewSteps
		c.Scalars(t, &of)
		renoise, _ := c.F32(t, "renoise")
		for chunk := range of.Chunks {
			s, err := denoise.NewFewSteps(denoise.FewSteps{Index: of.Index, Shift: of.Shift, Noise: func(dst []float32) {
				copy(dst, renoise)
				renoise = renoise[len(dst):]
			}})
			if err != nil {
				t.Fatal(err)
			}
			x, _ := c.F32(t, fmt.Sprintf("x_c%d_s0", chunk))
			for i := range s.Steps() {
				velocity, _ := c.F32(t, fmt.Sprintf("flow_c%d_s%d", chunk, i))
				s.Step(i, velocity, x)
				name := fmt.Sprintf("x_c%d_s%d", chunk, i+1)
				if i == s.Steps()-1 {
					name = fmt.Sprintf("x0_c%d", chunk)
				}
				want, _ := c.F32(t, name)
				golden.Check(t, c.Name+" "+name, x, want, 1e-6)
				copy(x, want)
			}
		}
		if len(renoise) > 0 {
			t.Errorf("%s: %d values of noise are left", c.Name, len(renoise))
		}
	}
}

func TestFewStepsMistakes(t *testing.T) {
	for name, of := range map[string]denoise.FewSteps{
		"no steps":    {Shift: 5},
		"negative":    {Index: []int{-1, 4}, Shift: 5},
		"beyond":      {Index: []int{0, 1000}, Shift: 5},
		"falling":     {Index: []int{500, 250}, Shift: 5},
		"the same":    {Index: []int{5, 5}, Shift: 5},
		"no shift":    {Index: []int{0}, Shift: 0},
		"huge shifts": {Index: []int{0}, Shift: 1e30},
	} {
		_, err := denoise.NewFewSteps(of)
		var setting *inference.SettingError
		if !errors.As(err, &setting) || !strings.Contains("timesteps_index sample_shift", setting.Setting) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
