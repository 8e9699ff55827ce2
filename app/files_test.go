package main

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gimbal/inference/golden"
)

// TestFilesOfOtherTools makes the reference's video from checkpoints in the layouts of other
// tools, which hold the same tensors.
func TestFilesOfOtherTools(t *testing.T) {
	for name, plan := range golden.Plans(t) {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if !golden.Assemble(t, plan.Plan, filepath.Join(golden.Dir(t), plan.Source), dir) {
				t.Skip("not in the repository")
			}
			for _, c := range golden.Cases(t, plan.Equals) {
				if c.Name == plan.Equals {
					runCase(t, c, "--ckpt_dir", dir)
				}
			}
			out, errs, code := gimbal(t, "inspect", dir)
			if code != 0 || strings.Count(out, dir) < 6 || !strings.Contains(out, "whole") {
				t.Errorf("inspect: exit code %d\n%s%s", code, out, errs)
			}
		})
	}
}

// TestParts makes a video of parts in several formats.
func TestParts(t *testing.T) {
	base := golden.FormatsBase(t)
	for _, c := range golden.FormatCases(t, "e2e_parts") {
		var scalars struct {
			Parts struct {
				High, Low, VAE string
				Text           string `json:"text_encoder"`
			}
		}
		c.Scalars(t, &scalars)
		var flags []string
		for flag, name := range map[string]string{"--high_noise": scalars.Parts.High, "--low_noise": scalars.Parts.Low, "--text_encoder": scalars.Parts.Text} {
			path, ok := golden.FormatFile(t, name)
			if !ok {
				t.Skip("not in the repository")
			}
			flags = append(flags, flag, path)
		}
		flags = append(flags, "--ckpt_dir", "", "--vae", filepath.Join(base, scalars.Parts.VAE))
		bounds := maps.Clone(bounds)
		maps.DeleteFunc(bounds, func(name string, _ float64) bool { return !slices.Contains(c.Names(), name) })
		runCaseOn(t, c, base, bounds, flags...)
	}
}

// TestForeignFiles says what a file is that is no part of a model.
func TestForeignFiles(t *testing.T) {
	lora, ok := golden.FormatFile(t, "lora/comfy_updown.safetensors")
	if !ok {
		t.Skip("not in the repository")
	}
	out, errs, code := gimbal(t, "plan", "--ckpt_dir", golden.Checkpoint(t), "--high_noise", lora)
	if code != 1 || !strings.Contains(errs, "a LoRA, which changes a model and is none") {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
}
