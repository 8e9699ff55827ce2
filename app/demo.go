package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"gimbal/assets"
	"gimbal/inference"
)

func runDemo(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	demo, err := unpackDemo()
	if err != nil {
		return err
	}
	fmt.Fprintln(stderr, "The demo model is small and made for trying Gimbal out: it is not LingBot-World.")
	r := demoRun(demo)
	return r.generate(ctx, "demo", args, stdout, stderr)
}

// unpackDemo puts the demo model into the user's cache, or where that cannot be
// written into the folder for temporary files.
func unpackDemo() (assets.Demo, error) {
	if cache, err := os.UserCacheDir(); err == nil {
		if demo, err := assets.UnpackDemo(filepath.Join(cache, "Gimbal")); err == nil {
			return demo, nil
		}
	}
	return assets.UnpackDemo(filepath.Join(os.TempDir(), fmt.Sprintf("Gimbal-%d", os.Getuid())))
}

// demoRun returns settings that suit the demo model; flags may change them.
func demoRun(demo assets.Demo) reference {
	s := demo.Settings
	job := inference.DefaultJob()
	job.Image = filepath.Join(demo.Pictures, "meadow.png")
	job.ActionPath = filepath.Join(demo.Cameras, "orbit")
	job.Prompt, job.NegativePrompt = s.Prompt, s.NegativePrompt
	job.Frames, job.Steps, job.Shift = s.Frames, s.Steps, s.Shift
	job.Guidance = inference.Guidance{Low: s.Guidance, High: s.Guidance}
	job.Solver, job.Boundary = s.Solver, s.Boundary
	job.Output = "demo.mp4"
	return reference{job: job, ckptDir: demo.Checkpoint, maxArea: s.MaxArea}
}
