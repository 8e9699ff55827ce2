package main

import (
	"fmt"
	"image"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"testing"

	"gimbal/assets"
	"gimbal/inference"
	"gimbal/inference/clip"
	"gimbal/inference/engine"
)

// demoShift makes a short and small video on a built-in camera path and returns by how many
// pixels its last frame is shifted to the right against its first.
func demoShift(t *testing.T, e engine.Engine, demo assets.Demo, path string) int {
	t.Helper()
	job, err := demoJob(demo)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	moves, err := clip.Builtin(path, 81)
	if err != nil {
		t.Fatal(err)
	}
	if err := moves.Write(filepath.Join(dir, "camera")); err != nil {
		t.Fatal(err)
	}
	job.ActionPath = filepath.Join(dir, "camera")
	job.Frames, job.Steps, job.MaxArea = 9, 3, job.MaxArea/2
	job.Output, job.FramesDir = filepath.Join(dir, "v.mp4"), filepath.Join(dir, "frames")
	if _, err := e.Run(t.Context(), engine.Request{Checkpoint: demo.Checkpoint, Job: job}, func(inference.Event) {}); err != nil {
		t.Fatal(err)
	}
	first, last := frame(t, job.FramesDir, 1), frame(t, job.FramesDir, 9)
	best, shift := math.Inf(1), 0
	for s := -60; s <= 60; s++ {
		if e := difference(first, last, s); e < best {
			best, shift = e, s
		}
	}
	return shift
}

func frame(t *testing.T, dir string, n int) image.Image {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, fmt.Sprintf("frame_%05d.png", n)))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// difference is the mean squared difference of b from a shifted to the right by s
// pixels, where both have pixels.
func difference(a, b image.Image, s int) float64 {
	size := a.Bounds().Size()
	var sum float64
	n := 0
	for y := range size.Y {
		for x := max(0, s); x < min(size.X, size.X+s); x++ {
			r1, g1, b1, _ := a.At(x-s, y).RGBA()
			r2, g2, b2, _ := b.At(x, y).RGBA()
			for _, d := range [3]float64{float64(r1) - float64(r2), float64(g1) - float64(g2), float64(b1) - float64(b2)} {
				sum += d * d
			}
			n++
		}
	}
	return sum / float64(n)
}
