package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"gimbal/app/internal/doctor"
	"gimbal/assets"
	"gimbal/inference"
	"gimbal/inference/bench"
	"gimbal/inference/device"
	"gimbal/inference/device/profile"
	"gimbal/inference/engine"
	"gimbal/metalkit"
	"gimbal/ui/desktop/awake"
)

// demoCase is what the scalars of a reference case of the demo model say.
type demoCase struct {
	Prompt         string  `json:"prompt"`
	NegativePrompt string  `json:"negative_prompt"`
	Action         string  `json:"action"`
	Picture        string  `json:"picture"`
	Solver         string  `json:"solver"`
	Steps          int     `json:"steps"`
	Shift          float64 `json:"shift"`
	GuideScale     float64 `json:"guide_scale"`
	Seed           uint64  `json:"seed"`
	Boundary       float64 `json:"boundary"`
	Frames         int     `json:"requested_frames"`
	MaxArea        int     `json:"max_area"`
}

// job is the case as a job of the demo model.
func (c demoCase) job(demo assets.Demo) (inference.Job, error) {
	job, err := demoJob(demo)
	job.Image = filepath.Join(demo.Pictures, c.Picture+".png")
	job.ActionPath = filepath.Join(demo.Cameras, c.Action)
	job.Prompt, job.NegativePrompt = c.Prompt, c.NegativePrompt
	job.Solver, job.Steps, job.Shift, job.Boundary = c.Solver, c.Steps, c.Shift, c.Boundary
	job.Guidance = inference.Guidance{Low: c.GuideScale, High: c.GuideScale}
	job.Seed, job.NoiseRNG = c.Seed, "cpu"
	job.Frames, job.MaxArea = c.Frames, c.MaxArea
	return job, err
}

// referenceBounds are the relative errors of a case's tensors that are allowed, as in its tests.
var referenceBounds = map[string]float64{"noise": 1e-6, "vae_input": 1e-5, "image_latent": 2e-5, "latent": 1e-4, "video": 1e-3}

// devicesHere opens what there is, in F32, by name.
func devicesHere() (names []string, open map[string]func() (device.Device, error)) {
	open = map[string]func() (device.Device, error){
		"cpu": openCPU,
		"gpu": func() (device.Device, error) {
			opts := doctorOptions()
			opts.Compute, opts.Fixed = device.F32, true
			return openMetal(opts)
		},
	}
	names = []string{"cpu"}
	dev, err := open["gpu"]()
	if err == nil {
		err = dev.Close()
	}
	if !noGPU(err) {
		names = append(names, "gpu")
	}
	return names, open
}

// examineReference makes the demo model's reference cases and compares what comes out.
func examineReference(ctx context.Context, s *doctor.Session) doctor.Verdict {
	dir, err := os.MkdirTemp("", "gimbal-doctor-*")
	if err != nil {
		return faulty(err)
	}
	defer os.RemoveAll(dir)
	if err := os.CopyFS(dir, assets.DemoCases()); err != nil {
		return faulty(err)
	}
	text, err := fs.ReadFile(assets.DemoCases(), "cases.json")
	cases := map[string]demoCase{}
	if err == nil {
		err = json.Unmarshal(text, &cases)
	}
	if err != nil {
		return faulty(err)
	}
	var findings []string
	compared := 0
	names, open := devicesHere()
	tensors := slices.Sorted(maps.Keys(referenceBounds))
	for name, c := range cases {
		want, err := bench.ReadTensors(filepath.Join(dir, name+".safetensors"), tensors...)
		if err != nil {
			return faulty(err)
		}
		for _, dev := range names {
			s.Doing("%s on %s", name, dev)
			got, err := makeDemo(ctx, open[dev], c.job, filepath.Join(dir, dev+"-"+name), tensors)
			if err != nil {
				return onDevice(dev, err)
			}
			for _, tensor := range tensors {
				compared++
				off := bench.RelL2(got[tensor], want[tensor])
				line := fmt.Sprintf("%s on %s: %s is off by %.2g, allowed are %.2g", name, dev, tensor, off, referenceBounds[tensor])
				s.Printf("%s\n", line)
				if !(off <= referenceBounds[tensor]) {
					findings = append(findings, line)
				}
			}
		}
	}
	return wrongs(compared, "tensors on "+strings.Join(names, " and "), findings)
}

// onDevice is the verdict of a video that was not made.
func onDevice(name string, err error) doctor.Verdict {
	v := faulty(err)
	v.Text = "on " + name + ": " + v.Text
	return v
}

// makeDemo makes a video of the demo model with the files' beginning at path, and returns tensors of it.
func makeDemo(ctx context.Context, open func() (device.Device, error), jobOf func(assets.Demo) (inference.Job, error), path string, tensors []string) (map[string][]float32, error) {
	demo, err := unpackDemo()
	if err != nil {
		return nil, err
	}
	job, err := jobOf(demo)
	if err != nil {
		return nil, err
	}
	job.Output, job.DumpFile = path+".mp4", path+"-dump.safetensors"
	local := engine.NewLocal(engine.Options{
		Open: func(context.Context) (device.Device, error) { return open() },
		Log:  slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	_, err = local.Run(ctx, engine.Request{Checkpoint: demo.Checkpoint, Job: job}, func(inference.Event) {})
	if err := errors.Join(err, local.Close()); err != nil {
		return nil, err
	}
	return bench.ReadTensors(job.DumpFile, tensors...)
}

// How far a video's frames may be from the CPU's where products are in BF16, as the GPU computes by
// default: peak signal-to-noise ratio of frames of which 2 is the range. 45 dB is what a careful
// eye cannot tell apart.
const leastPSNR = 45

// examineDemo makes a video as a new user does, on both devices.
func examineDemo(ctx context.Context, s *doctor.Session) doctor.Verdict {
	gpu, none := doctorGPU(s, device.BF16)
	if none != nil {
		return *none
	}
	if err := gpu.Close(); err != nil {
		return faulty(err)
	}
	dir, err := os.MkdirTemp("", "gimbal-doctor-*")
	if err != nil {
		return faulty(err)
	}
	defer os.RemoveAll(dir)
	short := func(demo assets.Demo) (inference.Job, error) {
		job, err := demoJob(demo)
		job.Frames, job.Steps, job.MaxArea = 9, 4, 96*160
		return job, err
	}
	video := map[string][]float32{}
	for _, d := range []struct {
		name string
		open func() (device.Device, error)
	}{
		{"gpu", openAsUsed},
		{"cpu", openCPU},
	} {
		s.Doing("a demo video on %s", d.name)
		began := time.Now()
		tensors, err := makeDemo(ctx, d.open, short, filepath.Join(dir, d.name), []string{"video"})
		if err != nil {
			return onDevice(d.name, err)
		}
		s.Printf("on %s: %.1f s\n", d.name, time.Since(began).Seconds())
		video[d.name] = tensors["video"]
	}
	psnr := bench.PSNR(video["gpu"], video["cpu"])
	v := doctor.Verdict{Status: doctor.OK, Text: fmt.Sprintf("the GPU's video is %.1f dB from the CPU's", psnr)}
	if !(psnr >= leastPSNR) {
		v.Status, v.Text = doctor.Failed, v.Text+fmt.Sprintf(", less than %d", leastPSNR)
	}
	return v
}

// examineSpeed times operations of about a fifth of a second each by every variant, and compares the
// fastest with the peak of the chip and with what the plan of its dispatches takes on paper.
func examineSpeed(ctx context.Context, s *doctor.Session) doctor.Verdict {
	choice := defaultDevice()
	open := func() (device.Device, error) { return choice.open(func(text string) { s.Printf("%s\n", text) }) }
	dev, err := open()
	if err != nil {
		return faulty(err)
	}
	peak, err := peakOf(ctx, dev)
	name := dev.Info().Name
	if err := errors.Join(err, dev.Close()); err != nil {
		return faulty(err)
	}
	s.Printf("%s: %.3g TFLOP/s, %.3g GB/s (%s)\n", name, peak.FLOPS/1e12, peak.Bandwidth/1e9, peak.Source)
	v := doctor.Verdict{Status: doctor.OK}
	var shares []string
	o := bench.Options{Open: open, Progress: func(text string) { s.Doing("%s", text) }}
	for _, operation := range speedOperations(peak) {
		r, err := bench.Kernel(ctx, o, bench.KernelSettings{Operation: operation, Runs: 3}, func(context.Context, device.Device) (profile.Peak, error) { return peak, nil })
		if err != nil {
			return faulty(err)
		}
		s.Printf("%s", reportText(r))
		fastest := r.Rows.([]bench.KernelRow)[0]
		line := fmt.Sprintf("%s: %.3g GFLOP/s, %.0f %% of the peak, %s", operation.Op, fastest.Rate, 100*fastest.Share, or(fastest.Variant, "the only variant"))
		if paper, ok := onPaper(ctx, name, operation); ok {
			line += fmt.Sprintf("; %.0f %% of what its dispatches can reach on paper", 100*paper/fastest.Seconds)
		}
		v.Findings = append(v.Findings, line)
		shares = append(shares, fmt.Sprintf("%s %.0f %%", operation.Op, 100*fastest.Share))
	}
	v.Text = "of the peak: " + strings.Join(shares, ", ")
	return v
}

// speedOperations are those of LingBot-World, with as many rows as take some tenths of a second.
func speedOperations(peak profile.Peak) []bench.Operation {
	const seconds = 0.2
	cols, heads := 5120, 40
	if peak.FLOPS < 1e11 {
		cols, heads = 1024, 8
	}
	rows := clamp(int(peak.FLOPS*seconds/2/float64(cols)/float64(cols)), 64, 17160)
	tokens := clamp(int(math.Sqrt(peak.FLOPS*seconds/4/float64(128*heads))), 64, 17160)
	side := clamp(int(math.Sqrt(peak.FLOPS*seconds/2/(27*192*192)/2)), 16, 416)
	return []bench.Operation{
		{Op: "linear", Sizes: []int{rows, cols, cols}, X: "bf16", Y: "f32", Weights: "bf16"},
		{Op: "attention", Sizes: []int{heads, tokens, tokens, 128}, X: "bf16", Y: "f32"},
		{Op: "conv", Sizes: []int{2, side, side, 192, 192}, X: "f32", Y: "f32", Weights: "f32"},
	}
}

func clamp(n, low, high int) int { return max(low, min(high, n/16*16)) }

// onPaper is how many seconds an operation takes at the peak of the chip called name, by the plan of
// its dispatches.
func onPaper(ctx context.Context, name string, o bench.Operation) (seconds float64, ok bool) {
	chip, ok := metalkit.FindChip(name)
	if !ok {
		return 0, false
	}
	dry, err := metalkit.OpenRoofline(chip, device.BF16)
	if err != nil {
		return 0, false
	}
	defer dry.Close()
	operands := bench.NewOperands(ctx, dry)
	defer operands.Release()
	op, err := o.Make(operands)
	if err != nil {
		return 0, false
	}
	dry.Take()
	if err := dry.Do(ctx, "paper", func(e device.Encoder) { e.Record(op) }); err != nil {
		return 0, false
	}
	for _, event := range dry.Take() {
		for _, op := range event.Operations {
			seconds += op.Seconds
		}
	}
	return seconds, seconds > 0
}

// examineAwake keeps the machine awake for a moment, and asks the system whether it would be.
func examineAwake(ctx context.Context, s *doctor.Session) doctor.Verdict {
	const reason = "Gimbal examines this machine"
	s.Doing("keep the machine awake")
	release, err := awake.Keep(reason)
	if err != nil {
		if runtime.GOOS == "darwin" {
			return faulty(err)
		}
		return skipped(errorText(fmt.Errorf("this system has nothing that keeps it awake: %w", err)))
	}
	defer release()
	if runtime.GOOS != "darwin" {
		return doctor.Verdict{Status: doctor.OK, Text: "the system agreed"}
	}
	out, err := exec.CommandContext(ctx, "pmset", "-g", "assertions").CombinedOutput()
	s.Printf("%s", out)
	switch {
	case err != nil:
		return faulty(fmt.Errorf("pmset -g assertions: %w", err))
	case !strings.Contains(string(out), reason):
		return faulty(errors.New("the system does not list that Gimbal keeps it awake ('pmset -g assertions')"))
	}
	return doctor.Verdict{Status: doctor.OK, Text: "the system lists it"}
}
