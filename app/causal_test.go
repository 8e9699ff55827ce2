package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gimbal/inference"
	"gimbal/inference/golden"
)

// causalE2E holds the scalars of an end-to-end case of a causal model, or of an act one.
type causalE2E struct {
	e2e
	Checkpoint, Assets string
	Chunk, Chunks      int
	Index              []int `json:"timesteps_index"`
	Window             int   `json:"local_attn_size"`
	Sink               int   `json:"sink_size"`
	MaxAttention       *int  `json:"max_attention_size"`
	Timesteps          []float64
}

// causalBounds of the tensors' relative errors; of those that a case has.
var causalBounds = map[string]float64{
	"noise": 1e-6, "renoise": 1e-6, "plucker": 1e-5, "vae_input": 1e-5, "image_latent": 2e-5, "latent": 1e-4, "video": 1e-3,
}

const defaultPretrainSteps = 40

// command is the program's command line for the case.
func (c causalE2E) command(t *testing.T, out string) []string {
	base := golden.Causal(t)
	args := []string{
		"--json", "--task", "i2v-A14B", "--ckpt_dir", filepath.Join(base, c.Checkpoint), "--assets_dir", filepath.Join(base, c.Assets),
		"--image", filepath.Join(base, "image.png"), "--action_path", filepath.Join(base, "actions", *c.Action), "--prompt", c.Prompt,
		"--frame_num", strconv.Itoa(c.Frames), "--max_area", strconv.Itoa(c.MaxArea), "--sample_shift", fmt.Sprint(c.Shift),
		"--base_seed", strconv.FormatUint(c.Seed, 10), "--noise_rng", "cpu", "--offload_model", "True", "--save_file", out,
	}
	switch {
	case c.Chunk == 0:
		return append([]string{"generate"}, append(args, "--negative_prompt", c.NegativePrompt, "--sample_solver", c.Solver, "--sample_steps", strconv.Itoa(c.Steps),
			"--sample_guide_scale", c.GuideScale.String(), "--boundary", fmt.Sprint(c.Boundary))...)
	case c.Index == nil && c.Steps == defaultPretrainSteps: // the negative prompt and the guidance, too, are the recipe's
		return append([]string{"generate"}, append(args, "--infer_mode", "causal_pretrain", "--chunk_size", strconv.Itoa(c.Chunk))...)
	case c.Index == nil:
		return append([]string{"generate"}, append(args, "--infer_mode", "causal_pretrain", "--chunk_size", strconv.Itoa(c.Chunk),
			"--negative_prompt", c.NegativePrompt, "--sample_steps", strconv.Itoa(c.Steps), "--sample_guide_scale", c.GuideScale.String())...)
	}
	args = append(args, "--chunk_size", strconv.Itoa(c.Chunk), "--local_attn_size", strconv.Itoa(c.Window), "--sink_size", strconv.Itoa(c.Sink),
		"--timesteps_index", strings.Trim(strings.ReplaceAll(fmt.Sprint(c.Index), " ", ","), "[]"))
	if c.MaxAttention != nil {
		args = append(args, "--max_attention_size", strconv.Itoa(*c.MaxAttention))
	}
	if strings.Contains(c.Checkpoint, "v2") {
		return append([]string{"generate", "--infer_mode", "causal_fast"}, args...)
	}
	return append([]string{"generate_fast"}, args...)
}

// TestCausalReference runs the end-to-end cases of the causal models, and of the bidirectional
// act one, through the program.
func TestCausalReference(t *testing.T) {
	for _, c := range golden.CausalCases(t, "e2e_") {
		t.Run(c.Name, func(t *testing.T) {
			var scalars causalE2E
			c.Scalars(t, &scalars)
			dir := t.TempDir()
			dump := filepath.Join(dir, "dump.safetensors")
			out, errs, code := gimbal(t, append(scalars.command(t, filepath.Join(dir, "v.mp4")), "--dump_tensors", dump)...)
			if code != 0 {
				t.Fatalf("exit code %d\n%s%s", code, out, errs)
			}
			bounds := maps.Clone(causalBounds)
			maps.DeleteFunc(bounds, func(name string, _ float64) bool { return !slices.Contains(c.Names(), name) })
			if scalars.Steps == defaultPretrainSteps { // in which rounding adds up
				bounds["latent"] = 1e-3
			}
			if scalars.Chunk == 0 {
				delete(bounds, "vae_input") // of which the case has one frame
				compareCalls(t, scalars.e2e, out)
			} else {
				scalars.compareSteps(t, out)
			}
			compareDump(t, c, dump, bounds)
			if _, err := os.Stat(filepath.Join(dir, "v.run")); err == nil {
				t.Error("the run folder of a finished video is still there")
			}
		})
	}
}

// compareSteps checks the steps, and that the frames of every chunk were there before the next
// chunk's steps.
func (c causalE2E) compareSteps(t *testing.T, out string) {
	t.Helper()
	var got []float64
	chunks := 0
	for _, l := range events(t, out) {
		var e struct {
			Timestep             float64
			Index, Total, Frames int
		}
		if err := json.Unmarshal(l.Data, &e); err != nil {
			t.Fatal(err)
		}
		switch l.Event {
		case "step":
			got = append(got, e.Timestep)
		case "chunk":
			chunks++
			if e.Index != chunks || e.Total != c.Chunks || e.Frames != inference.Wan.Frames(chunks*c.Chunk) || len(got) != chunks*len(c.Timesteps) {
				t.Errorf("chunk %d of %d with %d frames after %d steps", e.Index, e.Total, e.Frames, len(got))
			}
		}
	}
	if want := slices.Repeat(c.Timesteps, c.Chunks); chunks != c.Chunks || !slices.Equal(got, want) {
		t.Errorf("%d chunks at timesteps %v, want %v", chunks, got, want)
	}
}

// TestCausalFlags says which flags change nothing for a model, and that a model of experts is
// not causal.
func TestCausalFlags(t *testing.T) {
	fast, experts := filepath.Join(golden.Causal(t), "checkpoint-tiny-fast-cam"), golden.Checkpoint(t)
	for _, c := range []struct {
		checkpoint  string
		flags       []string
		note, wrong string
	}{
		{fast, []string{"--local_attn_size", "9", "--sink_size", "3"}, "", ""},
		{fast, []string{"--sample_steps", "8", "--negative_prompt", "n"}, "of no use to this model, causal_fast: --sample_steps, --negative_prompt", ""},
		{fast, []string{"--sample_guide_scale", "5", "--negative_prompt", "n"}, "of no use to this model, causal_fast: --sample_guide_scale, --negative_prompt", ""},
		{experts, []string{"--chunk_size", "4"}, "of no use to this model, which makes its videos in one go: --chunk_size", ""},
		{experts, []string{"--infer_mode", "causal_pretrain"}, "", "--infer_mode causal_pretrain: the checkpoint's model is not causal"},
	} {
		r, command := reference{job: inference.DefaultJob()}, "generate"
		if c.checkpoint == fast {
			command, r.mode = "generate_fast", inference.CausalFast
		}
		args := append([]string{"--ckpt_dir", c.checkpoint, "--image", "a.png", "--prompt", "p", "--save_file", "v.mp4"}, c.flags...)
		err := errors.Join(r.parse(command, args, io.Discard), r.complete(false))
		if c.wrong != "" && (err == nil || !strings.HasPrefix(err.Error(), c.wrong)) || c.wrong == "" && err != nil {
			t.Errorf("%v: error %v, want %q", c.flags, err, c.wrong)
		}
		if got := strings.Join(r.notes, "; "); got != c.note {
			t.Errorf("%v: notes %q, want %q", c.flags, got, c.note)
		}
	}
}
