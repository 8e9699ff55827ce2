package main

import (
	"encoding/json"
	"testing"

	"gimbal/inference"
	"gimbal/inference/device"
	"gimbal/inference/engine"
	"gimbal/inference/weights"
	"gimbal/metalkit"
)

// metalPlan is a plan for a chip that is not here: the model's real sizes, 480x832, with
// a camera path.
type metalPlan struct {
	Chip    string          `json:"chip"`
	Compute string          `json:"compute"` // as --compute takes it
	Frames  int             `json:"frames"`
	Quant   string          `json:"quant"`
	Tile    int             `json:"vae_tile,omitempty"`
	Plan    json.RawMessage `json:"plan"`
}

func (c metalPlan) make(t *testing.T) any {
	t.Helper()
	chip, ok := metalkit.FindChip(c.Chip)
	if !ok {
		t.Fatalf("no chip %q", c.Chip)
	}
	compute := map[string]device.DType{"f32": device.F32, "f16": device.F16, "bf16": device.BF16}[c.Compute]
	dev, err := metalkit.OpenRoofline(chip, compute)
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	job := inference.DefaultJob()
	job.Frames, job.VAETile, job.Output = c.Frames, c.Tile, "/v.mp4"
	if err := inference.FindSetting("quant").Set(&job, c.Quant); err != nil {
		t.Fatal(err)
	}
	p, err := engine.Plan(t.Context(), dev, engine.Request{Dims: weights.LingBotWorld, Camera: true, Job: job})
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var plan any
	decode(t, text, &plan)
	return planned(plan, nil)
}

// TestCompatMetalPlans makes sure that the Metal device counts as it did: pages, rings of
// scratch, tables and submissions.
func TestCompatMetalPlans(t *testing.T) {
	for _, c := range readRecorded[metalPlan](t, "metal.json") {
		var want any
		decode(t, c.Plan, &want)
		grow(want)
		delete(want.(map[string]any), "limit") // which leaves a margin since
		got := c.make(t)
		if c.Compute != "f32" {
			narrowed(want, c.Compute)
			narrowed(got, c.Compute)
		}
		for _, line := range differences("", planned(want, nil), got, nil) {
			t.Errorf("%s, %s, %d frames, %s: %s", c.Chip, c.Compute, c.Frames, c.Quant, line)
		}
	}
}

// narrowed takes out of a plan what is otherwise since queries, keys and values have the type that the
// device multiplies in: the bytes that operations move, and what attention is called.
func narrowed(plan any, compute string) {
	for _, phase := range plan.(map[string]any)["phases"].([]any) {
		work, _ := phase.(map[string]any)["work"].(map[string]any)
		kinds, _ := work["kinds"].(map[string]any)
		if a, ok := kinds["attention f32"]; ok {
			delete(kinds, "attention f32")
			kinds["attention "+compute] = a
		}
		for _, kind := range kinds {
			delete(kind.(map[string]any), "Bytes")
		}
	}
}
