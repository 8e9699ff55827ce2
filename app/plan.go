package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"text/tabwriter"
	"time"

	"gimbal/inference"
	"gimbal/inference/device"
	"gimbal/inference/engine"
	"gimbal/inference/weights"
)

func runPlan(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	r := reference{job: inference.DefaultJob()}
	r.job.Output = "plan.mp4"
	var synthetic, model string
	err := r.parse("plan", args, stdout, r.serverFlag, func(fs *flag.FlagSet) {
		fs.StringVar(&model, "model", "", "plan for the `model` of this name, which need not be here, instead of --ckpt_dir: "+strings.Join(variantNames(), ", "))
		fs.StringVar(&synthetic, "synthetic", "", "plan for a model of these `sizes`, with a camera path, instead of --ckpt_dir: "+
			"real, or dim=…,ffn=…,heads=…,layers=…,vae=…,text=… where they differ from the real model's")
	})
	if err == nil && model != "" {
		err = r.planFor(model)
	}
	if err == nil && synthetic != "" {
		r.dims, err = parseDims(synthetic, cmp.Or(r.dims, weights.LingBotWorld))
	}
	if err != nil {
		return err
	}
	e, err := r.planner(ctx, stderr)
	if err != nil {
		return err
	}
	defer e.Close()
	request, choices, err := r.choose(ctx, e)
	if err != nil {
		return err
	}
	if local, ok := e.(*engine.Local); ok && request.Dims == (weights.Dims{}) {
		if err := local.CheckSamples(ctx, request); err != nil {
			return err
		}
	}
	p, err := e.Plan(ctx, request)
	if err != nil {
		return err
	}
	planned := inference.Planned{Plan: p, Choices: choices}
	if r.json {
		return json.NewEncoder(stdout).Encode(planned)
	}
	return planTable(stdout, planned)
}

// planner returns the engine that plans, and makes r a job for it.
func (r *reference) planner(ctx context.Context, stderr io.Writer) (engine.Engine, error) {
	if r.server != "" {
		if r.dims != (weights.Dims{}) {
			return nil, usagef("--server: it plans for its own models, not for --model or --synthetic")
		}
		e, err := r.connect(slog.Default())
		if err != nil {
			return nil, err
		}
		if err := r.completeThere(ctx, e, true); err != nil {
			return nil, errors.Join(err, e.Close())
		}
		return e, nil
	}
	if err := r.complete(true); err != nil {
		return nil, err
	}
	return engine.NewLocal(engine.Options{
		Open: func(context.Context) (device.Device, error) {
			return r.device.open(func(text string) { fmt.Fprintln(stderr, text) })
		}, Log: slog.Default(),
	}), nil
}

// planFor makes r about a model of the family.
func (r *reference) planFor(model string) error {
	v, ok := engine.FindVariant(model)
	if !ok {
		return usagef("--model %s: want one of %s", model, strings.Join(variantNames(), ", "))
	}
	r.dims, r.job.Recipe = v.Dims, v.Recipe
	return nil
}

func variantNames() (names []string) {
	for _, v := range engine.Variants {
		names = append(names, v.Name)
	}
	return names
}

func or(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

// parseDims reads sizes such as "real,layers=2" of a model like d.
func parseDims(text string, d weights.Dims) (weights.Dims, error) {
	fields := map[string]*int{"dim": &d.Dim, "ffn": &d.FFN, "heads": &d.Heads, "layers": &d.Layers, "vae": &d.VAE, "text": &d.Text}
	if word, ok := weights.ReadSizes(text, fields); !ok {
		return d, usagef("--synthetic %s: want real, or NAME=NUMBER with dim, ffn, heads, layers, vae or text", word)
	}
	if err := weights.CheckHeads(d.Dim, d.Heads); err != nil {
		return d, usagef("--synthetic: %w", err)
	}
	return d, nil
}

// planLines is a plan in a few lines.
func planLines(e inference.Planned) (lines []string) {
	p := e.Plan
	for _, c := range e.Choices {
		lines = append(lines, fmt.Sprintf("chosen: %s (%s)", choiceText(c), c.Why))
	}
	peak, largest := p.Peak(), p.Largest()
	text := fmt.Sprintf("plan: at most %s of memory (%s), %s with weights (%s)",
		inference.Size(peak.Memory()), peak.Name, inference.Size(largest.Resident()), largest.Name)
	if p.Limit > 0 {
		text += fmt.Sprintf("; %s has %s", p.Device, inference.Size(p.Limit))
	}
	lines = append(lines, text)
	if p.Time.Known() {
		lines = append(lines, "plan: about "+estimateText(p.Time)+" (an estimate)")
	}
	return lines
}

func estimateText(e inference.Estimate) string {
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
		fmt.Fprintf(table, "%s\t%d\t%s\t%s\t%s\t%s\t%s\t%.1f\t%s\t\n", f.Name, f.Times, inference.Size(f.Buffers), inference.Size(f.Scratch), inference.Size(f.Host),
			inference.Size(f.Memory()), inference.Size(f.Weights), float64(f.Work.FLOPs())/1e12, estimateText(f.Time))
	}
	table.Flush()
	fmt.Fprintln(w)
	for _, part := range p.Parts {
		fmt.Fprintf(w, "%s: %s %s\n", part.Name, inference.Size(part.Bytes), part.Quant)
	}
	for _, d := range p.Disk {
		until := "while it runs"
		if d.Stays {
			until = "stays"
		}
		fmt.Fprintf(w, "disk: %s for the %s in %s (%s)\n", inference.Size(d.Bytes), d.What, or(d.Folder, "the checkpoint's folder"), until)
	}
	fmt.Fprintln(w)
	for _, n := range p.Notices {
		fmt.Fprintf(w, "note: %s\n", n.Text)
	}
	for _, line := range planLines(e) {
		fmt.Fprintln(w, line)
	}
	switch p.Fit() {
	case inference.Fits:
	case inference.Reloads:
		fmt.Fprintln(w, "It runs, but weights are read from disk again in every pass; --auto chooses settings that avoid it.")
	case inference.TooMuch:
		fmt.Fprintln(w, "It does not fit; --auto chooses settings that do.")
	}
	return nil
}
