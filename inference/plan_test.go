package inference_test

import (
	"testing"
	"time"

	"gimbal/inference"
	"gimbal/inference/cpu"
	"gimbal/inference/golden"
	"gimbal/inference/plan"
	"gimbal/inference/shapes"
	"gimbal/inference/wan"
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

// settings are jobs of all kinds.
func settings(t *testing.T) map[string]inference.Job {
	all := map[string]inference.Job{}
	add := func(name string, change func(*inference.Job)) {
		job := quick(t)
		job.Steps, job.MaxArea, job.Frames = 2, 128*128, 9
		change(&job)
		all[name] = job
	}
	add("defaults", func(*inference.Job) {})
	add("one frame", func(j *inference.Job) { j.Frames = 1 })
	add("both experts at once", func(j *inference.Job) { j.Offload = false })
	add("no reuse", func(j *inference.Job) { j.Reuse = wan.Reuse{} })
	add("no camera cache", func(j *inference.Job) { j.Reuse.Camera = false })
	add("no camera path", func(j *inference.Job) { j.ActionPath = "" })
	add("whole VAE", func(j *inference.Job) { j.VAEChunk = 0 })
	add("VAE in twos", func(j *inference.Job) { j.VAEChunk = 2 })
	add("tiles", func(j *inference.Job) { j.VAETile = 64 })
	add("16-bit attention", func(j *inference.Job) { j.AttentionDType, j.AttentionChunk = "bf16", 100 })
	add("no guidance", func(j *inference.Job) { j.Guidance = inference.Guidance{Low: 1, High: 1}; j.Solver = "dpm++" })
	return all
}

// TestPlannedBuffers compares what plans say of a device's buffers with what runs
// take: exactly that, since it is the same code.
func TestPlannedBuffers(t *testing.T) {
	for name, job := range settings(t) {
		t.Run(name, func(t *testing.T) {
			dev := openDevice(t)
			p, err := inference.Load(t.Context(), inference.Options{Checkpoint: golden.Checkpoint(t), Device: dev}, func(inference.Event) {})
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			planned, err := p.Plan(t.Context(), job, plan.Rates{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := p.Generate(t.Context(), job, func(inference.Event) {}); err != nil {
				t.Fatal(err)
			}
			var most int64
			for _, phase := range planned.Phases {
				most = max(most, phase.Buffers)
			}
			if peak := dev.Info().Peak; peak != most {
				t.Errorf("%d bytes of buffers planned, %d measured", most, peak)
			}
		})
	}
}
