package inference_test

import (
	"testing"
	"time"

	"gimbal/inference"
	"gimbal/inference/cpu"
	"gimbal/inference/plan"
	"gimbal/inference/shapes"
)

// TestPlanRealSizes plans LingBot-World's real sizes, which nobody has here.
func TestPlanRealSizes(t *testing.T) {
	dev, err := cpu.Open(cpu.Options{MemoryLimit: 192e9})
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	job := inference.DefaultJob()
	job.Prompt = "a walk through a quiet town in the morning light, the camera moves on slowly"
	begin := time.Now()
	p, err := inference.PlanOf(t.Context(), inference.PlanRequest{Dims: shapes.Real, Job: job, Camera: true, Device: dev,
		Rates: plan.Rates{Kinds: map[string]float64{"linear bf16": 20e12, "attention f32": 15e12, "conv": 15e12}, Bandwidth: 700e9}})
	if err != nil {
		t.Fatal(err)
	}
	t.Log(time.Since(begin))
	for _, phase := range p.Phases {
		t.Logf("%-25s x%-3d buffers %6.2f scratch %5.2f host %5.2f weights %5.1f GB, %8.1f TFLOP, %v", phase.Name, phase.Times,
			float64(phase.Buffers)/1e9, float64(phase.Scratch)/1e9, float64(phase.Host)/1e9, float64(phase.Weights)/1e9, float64(phase.Work.FLOPs())/1e12, phase.Time.Likely)
	}
	t.Log(p.Tokens, p.LatentShape, p.Time.Likely, p.Fit(), p.Parts)
}
