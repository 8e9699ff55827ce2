package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"time"

	"gimbal/inference"
	"gimbal/inference/plan"
	"gimbal/inference/video"
)

func runGenerate(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	r := reference{job: inference.DefaultJob()}
	return r.generate(ctx, "generate", args, stdout, stderr)
}

// generate makes a video with the settings in r, as far as args do not change them.
func (r *reference) generate(ctx context.Context, name string, args []string, stdout, stderr io.Writer) error {
	fs := r.flags(name)
	if err := parse(fs, args, stdout, 0); err != nil {
		return err
	}
	if err := r.complete(); err != nil {
		return err
	}
	fs.Visit(func(f *flag.Flag) { r.given = append(r.given, f.Name) })
	return r.run(ctx, stdout, stderr)
}

// complete checks what the flags say and fills in what follows from them.
func (r *reference) complete() error {
	if r.task != "i2v-A14B" {
		return usagef("--task %s: want i2v-A14B, the one task there is", r.task)
	}
	if r.resume != "" {
		return nil // the run's own settings count
	}
	if r.ckptDir == "" {
		return usagef("--ckpt_dir: none given; name the folder of the checkpoint, or use 'gimbal demo'")
	}
	area, ok := sizes[r.size]
	if !ok {
		return usagef("--size %s: want 480*832, 832*480, 720*1280 or 1280*720, or any area with --max_area", r.size)
	}
	if r.job.MaxArea = area; r.maxArea != 0 {
		r.job.MaxArea = r.maxArea
	}
	if r.job.Seed = uint64(r.seed); r.seed < 0 {
		r.job.Seed = rand.Uint64N(math.MaxInt64)
	}
	if err := r.vaeChunks(); err != nil {
		return err
	}
	if err := r.quant.Validate(); err != nil {
		return usageError{err}
	}
	r.job.VAETile = r.tile.pixels
	if r.job.Output == "" {
		name := video.DefaultName(r.task, r.size, strconv.Itoa(r.ulysses), r.job.Prompt, time.Now())
		var err error
		if r.job.Output, err = video.FreePath(name, ".png", ".json", ".run"); err != nil {
			return err
		}
	}
	if err := r.job.Validate(); err != nil {
		return usageError{err}
	}
	return nil
}

// vaeChunks reads the environment variables of the Python port.
func (r *reference) vaeChunks() error {
	for name, value := range map[string]*int{
		"VAE_CHUNK_SIZE": &r.job.VAEChunk, "VAE_CHUNK_THRESHOLD": &r.job.VAEChunkThreshold,
	} {
		text := os.Getenv(name)
		if text == "" {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return usagef("environment variable %s=%q: want a whole number of 0 or more", name, text)
		}
		*value = n
	}
	return nil
}

// run opens the device and the checkpoint, and makes the video.
func (r *reference) run(ctx context.Context, stdout, stderr io.Writer) (err error) {
	show := newReporter(r.json, stdout, stderr)
	defer show.close()
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	r.warnIgnored(log)

	dev, err := r.device.open(func(text string) { fmt.Fprintln(stderr, text) })
	if err != nil {
		return err
	}
	opened := dev
	defer func() { err = errors.Join(err, opened.Close()) }() // a capture may not have happened
	if r.profile != "" {
		var timed *timedDevice
		if timed, err = newProfile(ctx, dev); err != nil {
			return err
		}
		dev = timed
		defer func() { err = errors.Join(err, timed.save(r.profile, stderr)) }()
	}
	var choices []plan.Choice
	if r.resume == "" {
		if choices, err = r.choose(ctx, dev); err != nil {
			return err
		}
	}
	options := inference.Options{Checkpoint: r.ckptDir, Device: dev, Quant: r.quant}
	if r.resume != "" {
		run, err := inference.ReadRun(r.resume)
		if err != nil {
			return err
		}
		if options.Quant = run.Quant; r.ckptDir == "" { // given for a checkpoint that was moved
			options.Checkpoint = run.Checkpoint
		}
	}
	p, err := inference.Load(ctx, options, show.event)
	if err != nil {
		return err
	}
	defer p.Close()
	if r.resume != "" {
		_, err = p.Resume(ctx, r.resume, show.event)
		return err
	}
	return r.make(ctx, p, dev, choices, show)
}

// sameRun are the flags that go with --resume.
var sameRun = []string{"resume", "ckpt_dir", "device", "compute", "memory_limit", "metal_capture", "json", "profile"}

// warnIgnored names the flags that were given and change nothing.
func (r *reference) warnIgnored(log *slog.Logger) {
	for _, name := range r.given {
		why, of := ignored[name]
		if r.resume != "" && !slices.Contains(sameRun, name) {
			why, of = "a resumed run keeps its settings", true
		}
		if of {
			log.Warn("flag ignored", "flag", "--"+name, "why", why)
		}
	}
}
