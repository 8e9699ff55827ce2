package main

import (
	"errors"
	"fmt"
	"gimbal/inference"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"gimbal/inference/golden"
	"gimbal/inference/wan/wantest"
	"gimbal/inference/weights"
)

// formatCase holds what the scalars of an end-to-end case of few steps, LoRAs and caches say
// beside those of others.
type formatCase struct {
	LoRAs     map[string][]wantest.Applied `json:"loras"`     // by expert
	EasyCache []float64                    `json:"easycache"` // threshold, first steps
	CFGZero   *int                         `json:"cfg_zero"`  // steps of zero-init
	Interval  []float64                    `json:"interval"`
}

// flags returns those of the case that others have not.
func (c formatCase) flags(tb testing.TB) (flags []string) {
	strengths := map[string]map[string]float64{}
	var files []string
	for _, expert := range []string{weights.HighNoise, weights.LowNoise} {
		strengths[expert] = map[string]float64{}
		for _, l := range c.LoRAs[expert] {
			strengths[expert][l.File] = l.Strength
			if !slices.Contains(files, l.File) {
				files = append(files, l.File)
			}
		}
	}
	for _, file := range files {
		flags = append(flags, "--lora", fmt.Sprintf("%s:high=%g,low=%g", filepath.Join(golden.FormatsDir(tb), file),
			strengths[weights.HighNoise][file], strengths[weights.LowNoise][file]))
	}
	if c.EasyCache != nil {
		flags = append(flags, "--easycache", fmt.Sprintf("%g,%g", c.EasyCache[0], c.EasyCache[1]))
	}
	if c.CFGZero != nil {
		flags = append(flags, "--cfg_zero", "True", "--cfg_zero_init", strconv.Itoa(*c.CFGZero))
	}
	if c.Interval != nil {
		flags = append(flags, "--guidance_interval", fmt.Sprintf("%g,%g", c.Interval[0], c.Interval[1]))
	}
	return flags
}

// formatBounds are those of cases whose runs take other ways than the reference's own.
var formatBounds = map[string]float64{"noise": 1e-6, "latent": 1e-3}

// TestFormats runs the end-to-end cases of few steps, LoRAs and caches through the program.
func TestFormats(t *testing.T) {
	base := golden.FormatsBase(t)
	for _, c := range golden.FormatCases(t, "e2e_") {
		if c.Name == "e2e_parts" {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			var f formatCase
			c.Scalars(t, &f)
			bounds := bounds
			if !slices.Contains(c.Names(), "video") {
				bounds = formatBounds
			}
			runCaseOn(t, c, base, bounds, f.flags(t)...)
		})
	}
}

// TestDistilledLoRA takes the settings of a LoRA that is distilled to a few steps, but for
// those that are given, and says so.
func TestDistilledLoRA(t *testing.T) {
	file := filepath.Join(golden.FormatsDir(t), "lora", "distill.safetensors")
	for _, c := range []struct {
		flags []string
		want  int
		notes int
	}{
		{[]string{"--lora", file}, 4, 1},
		{[]string{"--lora", file, "--sample_steps", "8"}, 8, 1},
		{[]string{"--lora", file + ":off"}, 70, 0},
		{[]string{"--lora", file + ":high=1,low=0"}, 70, 0},
	} {
		r := reference{job: inference.DefaultJob()}
		args := append([]string{"--ckpt_dir", golden.Checkpoint(t), "--image", "a.png", "--prompt", "p", "--save_file", "v.mp4"}, c.flags...)
		if err := errors.Join(r.parse("generate", args, io.Discard), r.complete(false)); err != nil {
			t.Fatal(err)
		}
		if solver := map[bool]string{true: "euler", false: "unipc"}[c.notes > 0]; r.job.Steps != c.want || len(r.notes) != c.notes || r.job.Solver != solver {
			t.Errorf("%v: %+v, notes %q", c.flags, r.job.Recipe, r.notes)
		}
	}
}
