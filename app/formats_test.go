package main

import (
	"maps"
	"slices"
	"testing"

	"gimbal/inference/golden"
)

// formatCase holds what the scalars of an end-to-end case of few steps, LoRAs and caches say
// beside those of others.
type formatCase struct {
	LoRAs map[string][][2]any `json:"loras"` // by expert: file and strength
}

// TestFormats runs the end-to-end cases of few steps, LoRAs and caches through the program.
func TestFormats(t *testing.T) {
	base := golden.FormatsBase(t)
	for _, c := range golden.FormatCases(t, "e2e_4step") {
		t.Run(c.Name, func(t *testing.T) {
			var f formatCase
			if c.Scalars(t, &f); f.LoRAs != nil {
				t.Skip()
			}
			bounds := maps.Clone(bounds)
			maps.DeleteFunc(bounds, func(name string, _ float64) bool { return !slices.Contains(c.Names(), name) })
			runCaseOn(t, c, base, bounds)
		})
	}
}
