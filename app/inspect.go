package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"gimbal/inference"
	"gimbal/inference/clip"
	"gimbal/inference/engine"
	"gimbal/inference/weights"
)

func runInspect(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := flag.NewFlagSet("inspect", flag.ContinueOnError)
	full := fs.Bool("full", false, "read all of a checkpoint's weights and not only samples, or compare them with the hashes that Hugging Face's programs left beside them")
	fs.Usage = func() {
		fmt.Fprintln(fs.Output(), "usage: gimbal inspect [flags] PATH\n\nSays what a file or folder is: a checkpoint or its weights, with what is wrong with them, a camera path, a run, a picture,\na video, settings of one, or a "+weights.PartsFile+" that names a model's parts.")
		fs.PrintDefaults()
	}
	var c weights.Checkpoint
	for name, to := range map[string]*string{"high_noise": &c.Parts.HighNoise, "low_noise": &c.Parts.LowNoise, "text_encoder": &c.Parts.TextEncoder, "vae": &c.Parts.VAE, "tokenizer": &c.Parts.Tokenizer} {
		pathVar(fs, to, name, inference.FindSetting(name).Help)
	}
	pathVar(fs, &c.Assets, "assets_dir", inference.FindSetting("assets_dir").Help)
	fs.StringVar(&c.Model, "infer_mode", "", inference.FindSetting("infer_mode").Help)
	if err := parse(fs, args, stdout, "PATH"); err != nil {
		return err
	}
	dir := inference.Path(fs.Arg(0))
	if dir == "" {
		return usagef("inspect: PATH is empty; name a file or folder")
	}
	switch kind, folder, _ := engine.Classify(dir); kind {
	case engine.KindCamera:
		return inspectCamera(stdout, folder)
	case engine.KindCheckpoint:
	default:
		kind, text, err := engine.Identify(dir)
		info, errStat := os.Stat(dir)
		switch folder := errStat == nil && info.IsDir(); {
		case err == nil && kind != engine.KindCheckpoint:
			_, err = fmt.Fprintf(stdout, "%s: %s%s\n", dir, text, takenBy[kind])
			return err
		case err != nil && !folder:
			return err
		} // opening it says what is wrong with it as a model
	}
	local := onCPU()
	defer local.Close()
	if c.Dir = dir; c.Model == "auto" {
		c.Model = ""
	}
	m, err := local.Inspect(ctx, engine.Request{Checkpoint: c.Dir, Job: inference.Job{
		Parts: inference.Parts(c.Parts), Assets: c.Assets, Recipe: inference.Recipe{Causal: inference.Causal{Mode: c.Model}},
	}})
	if len(m.Parts) > 0 {
		fmt.Fprintf(stdout, "checkpoint %s\n", m.Dir)
	}
	for _, p := range m.Parts {
		fmt.Fprintln(stdout, "  "+partText(p))
	}
	if err != nil {
		var nothing *weights.Error
		if _, _, other := engine.Classify(dir); other != nil && errors.As(err, &nothing) && nothing.Field == "folder" && (nothing.Path == dir || nothing.Path == m.Dir) {
			return fmt.Errorf("%s: %w", dir, other) // no model, nor anything else
		}
		return err
	}
	control := "follows camera paths"
	if !m.HasCamera {
		control = "has no camera control"
	}
	if m.ReadsKeys {
		control = "follows keys and a camera's turns"
	}
	found := "whole"
	if expert, missing := m.Alone(m.Recipe.Boundary); expert != "" {
		found = "usable"
		fmt.Fprintf(stdout, "  one expert does every step: %s, as there is no %s\n", expert, missing)
	}
	if m.Twins {
		found = "usable"
		fmt.Fprintln(stdout, "  the experts for high and for low noise hold the same weights: was one file fetched twice?")
	}
	if slices.ContainsFunc(m.Parts, func(p engine.Part) bool { return len(p.Unused) > 0 }) {
		found = "usable"
	}
	fmt.Fprintf(stdout, "  %s: every tensor that the model uses is there and of the right shape; the model %s\n", found, control)
	fmt.Fprintf(stdout, "  model: %s; licence %s\n", m.Variant.Title, licenceText(m.Variant))
	fmt.Fprintf(stdout, "  recipe: %s\n", recipeText(m.Recipe))
	if *full {
		return verify(ctx, local, c, stdout, stderr)
	}
	return nil
}

// licenceText names a variant's licence.
func licenceText(v engine.Variant) string {
	if !v.Commercial() {
		return v.Licence + " (no commercial use)"
	}
	return v.Licence
}

// recipeText says how a model is sampled.
func recipeText(r inference.Recipe) string {
	guidance := fmt.Sprintf("guidance %g for low and %g for high noise", r.Guidance.Low, r.Guidance.High)
	switch r.Causal.Mode {
	case inference.CausalFast:
		return fmt.Sprintf("chunk by chunk of %d latent frames, in %d steps at %s, shift %g, without guidance",
			r.Chunk, r.Steps, r.TimestepsIndex, r.Shift)
	case inference.CausalPretrain:
		return fmt.Sprintf("chunk by chunk of %d latent frames, %d steps of %s each, shift %g, guidance %g", r.Chunk, r.Steps, r.Solver, r.Shift, r.Guidance.Low)
	}
	return fmt.Sprintf("%d frames at once, %d steps of %s, shift %g, %s", r.Frames, r.Steps, r.Solver, r.Shift, guidance)
}

// verify reads all of a model's files.
func verify(ctx context.Context, local *engine.Local, c weights.Checkpoint, stdout, stderr io.Writer) error {
	tenths := int64(0)
	err := local.Verify(ctx, c, func(done, total int64) {
		if t := 10 * done / max(1, total); t > tenths {
			tenths = t
			fmt.Fprintf(stderr, "read %s of %s\n", inference.Size(done), inference.Size(total))
		}
	})
	if err == nil {
		fmt.Fprintln(stdout, "  all of it was read: no runs of zeros, NaN or infinities, and every hash that is known is right")
	}
	return err
}

// takenBy says what to do with what inspect found.
var takenBy = map[engine.Kind]string{engine.KindPicture: "; --image takes it", engine.KindRun: "; --resume goes on with it"}

func inspectCamera(w io.Writer, dir string) error {
	path, err := clip.OpenPath(dir)
	if err != nil {
		return err
	}
	frames := path.EffectiveFrames(inference.Wan.MaxFrames())
	fmt.Fprintf(w, "camera path %s: %d poses, videos of up to %d frames\n", dir, path.Frames(), frames)
	fmt.Fprintf(w, "the camera, as it looks: %s\n", path.Way(frames))
	for _, n := range path.Notes(frames) {
		fmt.Fprintln(w, n.Text)
	}
	return nil
}

func partText(p engine.Part) string {
	if p.Path == "" {
		return p.Name + ": not there"
	}
	text := fmt.Sprintf("%s: %.1f MB in %s", p.Name, float64(p.Bytes)/1e6, p.Path)
	var types []string
	for _, name := range slices.Sorted(maps.Keys(p.DTypes)) {
		types = append(types, fmt.Sprintf("%d %s", p.DTypes[name], name))
	}
	if len(types) > 0 {
		text += ", tensors: " + strings.Join(types, ", ")
	}
	if c := p.Config; c != nil {
		text += fmt.Sprintf("; %d layers, %d wide, %d heads, feed-forward %d", c.NumLayers, c.Dim, c.NumHeads, c.FFNDim)
	}
	if len(p.Unused) > 0 {
		text += "; " + p.UnusedText()
	}
	if len(p.Zeros) > 0 {
		text += "; " + p.ZerosText()
	}
	if p.Err != nil {
		text += "; DAMAGED"
	}
	if p.Other {
		text += "; of another model: 'gimbal generate_fast' or --infer_mode runs it"
	}
	return text
}
