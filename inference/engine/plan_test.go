package engine_test

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gimbal/inference"
	"gimbal/inference/cpu"
	"gimbal/inference/device"
	"gimbal/inference/engine"
	"gimbal/inference/golden"

	"gimbal/inference/weights"
)

// limited returns a device of so many bytes.
func limited(tb testing.TB, bytes int64) device.Device {
	tb.Helper()
	dev, err := cpu.Open(cpu.Options{MemoryLimit: bytes})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { dev.Close() })
	return dev
}

// request is one for a device.
type request struct {
	engine.Request
	dev device.Device
}

// realRequest asks for LingBot-World's real sizes, which nobody has here.
func realRequest(tb testing.TB, limit int64) request {
	tb.Helper()
	job := inference.DefaultJob()
	job.Prompt = "a walk through a quiet town in the morning light, the camera moves on slowly"
	return request{engine.Request{Dims: weights.LingBotWorld, Job: job, Camera: true}, limited(tb, limit)}
}

// TestPlanRealSizes compares a plan with what arithmetic on the real sizes says.
func TestPlanRealSizes(t *testing.T) {
	p, err := planOf(t, realRequest(t, 192e9))
	if err != nil {
		t.Fatal(err)
	}
	dims, tokens := weights.LingBotWorld, int64(p.Tokens)
	// A forward's products and attentions, in a block but for those of the text and of
	// the camera, which are done once.
	dim, ffn := int64(dims.Dim), int64(dims.FFN)
	forward := int64(dims.Layers) * (2*tokens*(6*dim*dim+2*dim*ffn) + 4*tokens*tokens*dim)
	cache := int64(dims.Layers) * 2 * 4 * tokens * dim
	steps := 0
	for _, phase := range p.Phases {
		if phase.Kind() != "sample" {
			continue
		}
		steps += phase.Times
		if work := phase.Work.FLOPs() / int64(2*phase.Times); work < forward || work > forward+forward/50 {
			t.Errorf("%s: %.4g FLOPs per forward, want a little more than %.4g", phase.Name, float64(work), float64(forward))
		}
		if phase.Buffers < cache || phase.Buffers > cache+cache/5 {
			t.Errorf("%s: %d bytes of buffers, want a little more than the %d of the camera's", phase.Name, phase.Buffers, cache)
		}
	}
	if steps != inference.DefaultRecipe().Steps {
		t.Errorf("%d steps, want %d", steps, inference.DefaultRecipe().Steps)
	}
	for _, part := range p.Parts {
		if strings.HasSuffix(part.Name, "noise_model") && (part.Bytes < 37e9 || part.Bytes > 37.2e9) {
			t.Errorf("%s: %d bytes, want 37.1 GB", part.Name, part.Bytes)
		}
	}
	if p.Fit() != inference.Fits {
		t.Errorf("192 GB are not enough: %+v", p.Largest())
	}
}

func planOf(t *testing.T, r request) (inference.Plan, error) {
	return engine.Plan(t.Context(), r.dev, r.Request)
}

func BenchmarkPlan(b *testing.B) {
	r := realRequest(b, 192e9)
	for b.Loop() {
		if _, err := engine.Plan(b.Context(), r.dev, r.Request); err != nil {
			b.Fatal(err)
		}
	}
}

func TestPlanAuto(t *testing.T) {
	for _, c := range []struct {
		limit  int64
		change func(*request)
		want   []string
	}{
		{192e9, func(*request) {}, nil},
		{64e9, func(*request) {}, nil}, // the camera's cache shrinks by itself
		{64e9, func(r *request) { r.Job.VAEChunk = 0; r.Job.MaxArea = 720 * 1280 }, []string{"vae_chunk_size 1"}},
		{36e9, func(*request) {}, []string{"quant int8"}},
		{16e9, func(*request) {}, []string{"quant nf4"}},
		{8e9, func(r *request) { r.Job.MaxArea, r.Only = 720*1280, "vae_tile" }, []string{"vae_tile 512"}},
	} {
		r := realRequest(t, c.limit)
		c.change(&r)
		chosen, p, choices, err := engine.Fit(t.Context(), r.dev, r.Request)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, choice := range choices {
			got = append(got, choice.Setting+" "+choice.Value)
			if choice.Why == "" {
				t.Errorf("%d bytes: %s for no reason", c.limit, choice.Setting+" "+choice.Value)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%d bytes: chose %q, want %q", c.limit, got, c.want)
		}
		if p.Fit() != inference.Fits && c.limit >= 16e9 {
			t.Errorf("%d bytes: %s does not fit", c.limit, p.Largest().Name)
		}
		again, err := engine.Plan(t.Context(), r.dev, chosen)
		if err != nil || again.Largest().Resident() != p.Largest().Resident() {
			t.Errorf("%d bytes: the plan is not of the request that was chosen: %v", c.limit, err)
		}
	}
}

// TestTooLarge makes sure that a job that does not fit ends before it begins, and that
// it runs with the settings that the error names.
func TestTooLarge(t *testing.T) {
	job := quick(t)
	job.MaxArea, job.VAEChunk, job.Steps = 128*128, 0, 1
	p := loadOn(t, openDevice(t))
	all, err := p.Plan(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	p = loadOn(t, limited(t, all.Peak().Memory()*2/3))
	_, err = p.Generate(t.Context(), job, "", func(e inference.Event) { t.Errorf("event %s before the error", e.Kind()) })
	var large *inference.MemoryError
	if !errors.As(err, &large) || len(large.Choices) == 0 {
		t.Fatalf("%v, want a TooLargeError with settings", err)
	}
	for _, c := range large.Choices {
		if !strings.Contains(err.Error(), c.Setting+" "+c.Value) {
			t.Errorf("%v does not name %s", err, c.Setting+" "+c.Value)
		}
		switch c.Setting {
		case "vae_chunk_size":
			job.VAEChunk, job.VAEChunkThreshold = 1, 0
		case "vae_tile":
			job.VAETile, _ = strconv.Atoi(c.Value)
		default:
			t.Fatalf("chose %s", c.Setting+" "+c.Value)
		}
	}
	if large.Frames > 0 {
		job.Frames = large.Frames
	}
	if _, err := p.Generate(t.Context(), job, "", func(inference.Event) {}); err != nil {
		t.Errorf("with the settings of the error: %v", err)
	}
}

func loadOn(t *testing.T, dev device.Device) *engine.Pipeline {
	t.Helper()
	p, err := engine.Load(t.Context(), dev, golden.Checkpoint(t), inference.QuantNone, func(inference.Event) {})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// settings are jobs of all kinds.
func settings(t *testing.T) map[string]inference.Job {
	all := map[string]inference.Job{}
	add := func(name string, change func(*inference.Job)) {
		job := quick(t)
		job.Steps, job.MaxArea = 2, 96*96
		change(&job)
		all[name] = job
	}
	add("defaults", func(*inference.Job) {})
	add("one frame", func(j *inference.Job) { j.Frames = 1 })
	add("weights kept", func(j *inference.Job) { j.Offload = false })
	add("no camera path", func(j *inference.Job) { j.ActionPath = "" })
	add("whole VAE", func(j *inference.Job) { j.VAEChunk = 0 })
	add("VAE in twos", func(j *inference.Job) { j.VAEChunk = 2 })
	add("tiles", func(j *inference.Job) { j.VAETile = 64 })
	add("16-bit attention", func(j *inference.Job) { j.AttentionDType = "bf16" })
	add("no guidance", func(j *inference.Job) { j.Guidance = inference.Guidance{Low: 1, High: 1}; j.Solver = "dpm++" })
	add("residuals", func(j *inference.Job) { j.Steps, j.TeaCache = 9, inference.TeaCache{Threshold: 0.3, Of: "wan2.1-720p"} })
	add("residuals of one prompt", func(j *inference.Job) {
		j.Steps, j.TeaCache = 9, inference.TeaCache{Threshold: 0.3, Of: "wan2.1-720p"}
		j.Guidance = inference.Guidance{Low: 1, High: 1}
	})
	add("EasyCache", func(j *inference.Job) { j.Steps, j.EasyCache = 9, inference.EasyCache{Threshold: 5, First: 2} })
	return all
}

// TestPlannedBuffers compares what plans say of a device's buffers with what runs
// take: exactly that, since it is the same code.
func TestPlannedBuffers(t *testing.T) {
	for name, job := range settings(t) {
		t.Run(name, func(t *testing.T) {
			dev := openDevice(t)
			p := loadOn(t, dev)
			comparePlanned(t, dev, p, job)
		})
	}
}

// comparePlanned makes a job's video and compares what its plan said of the device's buffers
// with what the run took.
func comparePlanned(t *testing.T, dev device.Device, p *engine.Pipeline, job inference.Job) {
	t.Helper()
	planned, err := p.Plan(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Generate(t.Context(), job, "", func(inference.Event) {}); err != nil {
		t.Fatal(err)
	}
	var most int64
	for _, phase := range planned.Phases {
		most = max(most, phase.Buffers)
	}
	if peak := dev.Info().Peak; peak != most {
		t.Errorf("%d bytes of buffers planned, %d measured", most, peak)
	}
}

// TestPlanOfQuantised compares the plan for weights that are not quantised yet with
// the plan with the weights that were made.
func TestPlanOfQuantised(t *testing.T) {
	for _, o := range []inference.Quant{inference.QuantINT8, inference.QuantNF4, inference.QuantNF4Double} {
		dir := checkpointCopy(t)
		job := quick(t)
		dev := openDevice(t)
		job.Quant = o
		r := request{engine.Request{Checkpoint: dir, Job: job}, dev}
		before, err := planOf(t, r)
		if err != nil {
			t.Fatal(err)
		}
		var making int64
		for _, d := range before.Disk {
			if strings.Contains(d.What, "weights") {
				making += d.Bytes
			}
		}
		p, _ := loadQuantized(t, dir, o)
		after, err := p.Plan(t.Context(), job)
		if err != nil {
			t.Fatal(err)
		}
		for i, phase := range before.Phases {
			got := after.Phases[i]
			if phase.Name != got.Name || phase.Weights != got.Weights {
				t.Errorf("%v: %s reads %d bytes of weights, planned %d for %s", o, got.Name, got.Weights, phase.Weights, phase.Name)
			}
		}
		var made int64
		for _, part := range after.Parts {
			if part.Name == weights.HighNoise || part.Name == weights.LowNoise {
				made += part.Bytes
			}
		}
		if making > made || making < made*9/10 {
			t.Errorf("%v: %d bytes on disk planned, %d made", o, making, made)
		}
		again, err := planOf(t, r)
		if err != nil {
			t.Fatal(err)
		}
		if len(again.Disk) >= len(before.Disk) {
			t.Errorf("%v: the cached weights are still to be made: %v", o, again.Disk)
		}
	}
}
