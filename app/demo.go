package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"gimbal/assets"
	"gimbal/inference"
	"gimbal/inference/engine"
	"gimbal/inference/output"
)

func runDemo(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	demo, err := unpackDemo()
	if err != nil {
		return err
	}
	job, err := demoJob(demo)
	if err != nil {
		return err
	}
	fmt.Fprintln(stderr, "The demo model is small and made for trying Gimbal out: it is not LingBot-World.")
	r := reference{job: job, ckptDir: demo.Checkpoint, name: "demo.mp4"}
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
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("Gimbal-%d", os.Getuid()))
	demo, err := assets.UnpackDemo(dir)
	if err != nil {
		return demo, output.Explain(dir, err)
	}
	return demo, nil
}

// demoJob returns a job for the demo model; flags may change it.
func demoJob(demo assets.Demo) (job inference.Job, err error) {
	job = inference.DefaultJob()
	job.Image = filepath.Join(demo.Pictures, "meadow.png")
	job.ActionPath = filepath.Join(demo.Cameras, "orbit")
	job.Prompt, job.NegativePrompt = demo.Settings.Prompt, demo.Settings.NegativePrompt
	job.Recipe, err = engine.ReadRecipe(demo.Checkpoint)
	return job, err
}
