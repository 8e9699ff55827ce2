package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"gimbal/inference"
	"gimbal/inference/device"
	"gimbal/inference/plan"
	"gimbal/inference/weights"
)

// longWork is the work, in floating-point operations, of jobs that are worth the two
// seconds that measuring a device takes.
const longWork = 1e13

// choose changes the settings that the flags leave to Gimbal, and says which.
func (r *reference) choose(ctx context.Context, dev device.Device) ([]plan.Choice, error) {
	if !r.auto && !r.tile.auto {
		return nil, nil
	}
	request := r.request(dev)
	if !r.auto {
		request.Only = "vae_tile"
	}
	chosen, _, choices, err := inference.PlanAuto(ctx, request)
	if err != nil {
		return nil, err
	}
	r.job, r.quant = chosen.Job, chosen.Quant
	return choices, nil
}

func (r *reference) request(dev device.Device) inference.PlanRequest {
	return inference.PlanRequest{Checkpoint: r.ckptDir, Dims: r.dims, Camera: r.dims != (weights.Dims{}), Job: r.job, Quant: r.quant, Device: dev}
}

// make shows the plan, makes the video and learns from how long it took.
func (r *reference) make(ctx context.Context, p *inference.Pipeline, dev device.Device, choices []plan.Choice, show *reporter) error {
	rates := plan.ReadRates("", dev)
	planned, err := p.Plan(ctx, r.job, rates)
	if err != nil {
		return err
	}
	if !rates.Known() && planned.FLOPs() > longWork {
		if rates, err = measure(ctx, dev); err != nil {
			return err
		}
		planned.Estimate(rates)
	}
	show.event(inference.Planned{Plan: planned, Choices: choices})
	learner := inference.NewLearner(planned)
	_, err = p.Generate(ctx, r.job, func(e inference.Event) {
		learner.Event(e)
		show.event(e)
	})
	if err == nil && rates.Known() {
		learner.Rates(rates).Write("", dev) // the next estimate is less good without
	}
	return err
}

// measure times the device and keeps the result, where it can be kept.
func measure(ctx context.Context, dev device.Device) (plan.Rates, error) {
	rates, err := plan.Measure(ctx, dev)
	if err == nil {
		rates.Write("", dev)
	}
	return rates, err
}

func runPlan(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	r := reference{job: inference.DefaultJob()}
	fs := r.flags("plan")
	synthetic := fs.String("synthetic", "", "plan for a model of these `sizes`, with a camera path, instead of --ckpt_dir: "+
		"real, or dim=…,ffn=…,heads=…,layers=…,vae=…,text=… where they differ from the real model's")
	if err := parse(fs, args, stdout, 0); err != nil {
		return err
	}
	if *synthetic != "" {
		var err error
		if r.dims, err = parseDims(*synthetic); err != nil {
			return err
		}
		r.ckptDir = "synthetic"
	}
	given := r.job
	r.job.Image, r.job.Prompt, r.job.Output = or(given.Image, "-"), or(given.Prompt, "-"), or(given.Output, "plan.mp4")
	if err := r.complete(); err != nil {
		return err
	}
	r.job.Image, r.job.Prompt = given.Image, given.Prompt
	dev, err := r.device.open(func(text string) { fmt.Fprintln(stderr, text) })
	if err != nil {
		return err
	}
	defer dev.Close()
	choices, err := r.choose(ctx, dev)
	if err != nil {
		return err
	}
	request := r.request(dev)
	if request.Rates = plan.ReadRates("", dev); !request.Rates.Known() {
		if request.Rates, err = measure(ctx, dev); err != nil {
			return err
		}
	}
	p, err := inference.PlanOf(ctx, request)
	if err != nil {
		return err
	}
	planned := inference.Planned{Plan: p, Choices: choices}
	if r.json {
		return json.NewEncoder(stdout).Encode(planned)
	}
	return planTable(stdout, planned)
}

func or(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

// parseDims reads sizes such as "real,layers=2".
func parseDims(text string) (weights.Dims, error) {
	d := weights.LingBotWorld
	fields := map[string]*int{"dim": &d.Dim, "ffn": &d.FFN, "heads": &d.Heads, "layers": &d.Layers, "vae": &d.VAE, "text": &d.Text}
	for word := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(word), "=")
		if name == "real" && value == "" {
			continue
		}
		n, err := strconv.Atoi(value)
		if fields[name] == nil || err != nil || n < 1 || n > 1<<16 {
			return d, usagef("--synthetic %s: want real, or NAME=NUMBER with dim, ffn, heads, layers, vae or text", word)
		}
		*fields[name] = n
	}
	if d.Dim%(2*d.Heads) != 0 {
		return d, usagef("--synthetic: dim=%d, want a multiple of twice heads=%d", d.Dim, d.Heads)
	}
	return d, nil
}

// planLines is a plan in a few lines.
func planLines(e inference.Planned) (lines []string) {
	p := e.Plan
	for _, c := range e.Choices {
		lines = append(lines, fmt.Sprintf("chosen: %s (%s)", c.Flag(), c.Why))
	}
	peak, largest := p.Peak(), p.Largest()
	text := fmt.Sprintf("plan: at most %s of memory (%s), %s with weights (%s)",
		plan.Size(peak.Memory()), peak.Name, plan.Size(largest.Resident()), largest.Name)
	if p.Limit > 0 {
		text += fmt.Sprintf("; %s has %s", p.Device, plan.Size(p.Limit))
	}
	lines = append(lines, text)
	if p.Time.Known() {
		lines = append(lines, "plan: about "+estimateText(p.Time)+" (an estimate)")
	}
	return lines
}

func estimateText(e plan.Estimate) string {
	if !e.Known() {
		return "-"
	}
	return fmt.Sprintf("%s (%s to %s)", durationText(e.Likely), durationText(e.Low), durationText(e.High))
}

// durationText rounds d to what people care for.
func durationText(d time.Duration) string {
	switch {
	case d >= time.Hour:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	case d >= time.Minute:
		return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

// planTable writes a plan in full.
func planTable(w io.Writer, e inference.Planned) error {
	p := e.Plan
	fmt.Fprintf(w, "%d frames of %dx%d, latent %v, %d tokens, on %s\n\n", p.Frames, p.Width, p.Height, p.LatentShape, p.Tokens, p.Device)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "phase\ttimes\tbuffers\tscratch\tprogram\tmemory\tweights\tTFLOP\ttime\t")
	for _, f := range p.Phases {
		fmt.Fprintf(table, "%s\t%d\t%s\t%s\t%s\t%s\t%s\t%.1f\t%s\t\n", f.Name, f.Times, plan.Size(f.Buffers), plan.Size(f.Scratch), plan.Size(f.Host),
			plan.Size(f.Memory()), plan.Size(f.Weights), float64(f.Work.FLOPs())/1e12, estimateText(f.Time))
	}
	table.Flush()
	fmt.Fprintln(w)
	for _, part := range p.Parts {
		fmt.Fprintf(w, "%s: %s %s\n", part.Name, plan.Size(part.Bytes), part.Quant)
	}
	for _, d := range p.Disk {
		until := "while it runs"
		if d.Stays {
			until = "stays"
		}
		fmt.Fprintf(w, "disk: %s for the %s in %s (%s)\n", plan.Size(d.Bytes), d.What, or(d.Folder, "the checkpoint's folder"), until)
	}
	fmt.Fprintln(w)
	for _, line := range planLines(e) {
		fmt.Fprintln(w, line)
	}
	switch p.Fit() {
	case plan.Fits:
	case plan.Reloads:
		fmt.Fprintln(w, "It runs, but weights are read from disk again in every pass; --auto chooses settings that avoid it.")
	case plan.TooMuch:
		fmt.Fprintln(w, "It does not fit; --auto chooses settings that do.")
	}
	return nil
}
