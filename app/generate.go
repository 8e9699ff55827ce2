package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math"
	"slices"

	"gimbal/inference"
	"gimbal/inference/device"
	"gimbal/inference/engine"
	"gimbal/inference/output"
)

func runGenerate(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	r := reference{job: inference.DefaultJob()}
	return r.generate(ctx, "generate", args, stdout, stderr, r.serverFlag)
}

// runGenerateFast is the reference's generate_fast.py.
func runGenerateFast(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	r := reference{job: inference.DefaultJob(), mode: inference.CausalFast}
	return r.generate(ctx, "generate_fast", args, stdout, stderr)
}

// generate makes a video with the settings in r, as far as args do not change them.
func (r *reference) generate(ctx context.Context, name string, args []string, stdout, stderr io.Writer, more ...func(*flag.FlagSet)) error {
	if err := r.parse(name, args, stdout, more...); err != nil {
		return err
	}
	if r.server != "" {
		return r.remote(ctx, stdout, stderr)
	}
	if err := r.complete(false); err != nil {
		return err
	}
	return r.run(ctx, stdout, stderr)
}

// parse parses the flags, which more may add to.
func (r *reference) parse(name string, args []string, help io.Writer, more ...func(*flag.FlagSet)) error {
	fs := r.flags(name)
	for _, add := range more {
		add(fs)
	}
	err := parse(fs, args, help)
	fs.Visit(func(f *flag.Flag) { r.given = append(r.given, f.Name) })
	return err
}

// run makes the video.
func (r *reference) run(ctx context.Context, stdout, stderr io.Writer) (err error) {
	show := newReporter(r.json, stdout, stderr)
	defer show.close()
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	r.warnIgnored(log)
	for _, note := range r.notes {
		log.Warn(note)
	}
	var timed *timedDevice // nil unless it is profiled
	began := false
	local := engine.NewLocal(engine.Options{Log: log, Also: r.also(), Open: func(ctx context.Context) (device.Device, error) {
		dev, err := r.device.open(func(text string) { fmt.Fprintln(stderr, text) })
		if err != nil || r.profile == "" {
			return dev, err
		}
		timed, err = newProfile(ctx, dev)
		return timed, err
	}})
	defer func() {
		if timed != nil && began {
			err = errors.Join(err, timed.save(r.profile, stderr))
		}
		err = errors.Join(err, local.Close()) // a capture may not have happened
		if slices.ContainsFunc(inference.SettingErrors(err), func(e *inference.SettingError) bool { return r.named && e.Setting == "save_file" }) {
			err = fmt.Errorf("no --save_file is given, so the video is %s: %w", r.job.Output, err)
		}
	}()
	if note := r.guidanceNote(); note != "" {
		show.event(inference.Notice{About: inference.NoticeGuidance, Text: note})
	}
	request, choices, err := r.choose(ctx, local)
	if err != nil {
		return err
	}
	_, err = local.Run(ctx, request, func(e inference.Event) {
		switch event := e.(type) {
		case inference.Planned:
			event.Choices = choices
			e = event
		case inference.Prepared: // the files of before are Gimbal's, or there are none
			began = true
		}
		show.event(e)
	})
	return err
}

// choose returns what the flags ask for, with the settings that they leave to Gimbal, and
// says which these are.
func (r *reference) choose(ctx context.Context, e engine.Engine) (engine.Request, []inference.Choice, error) {
	request := engine.Request{Checkpoint: r.ckptDir, Job: r.job, Resume: r.resume}
	if r.dims.Layers > 0 {
		request.Dims, request.Camera = r.dims, true
	}
	if r.resume != "" || !r.auto && !r.tile {
		return request, nil, nil
	}
	if !r.auto {
		request.Only = "vae_tile"
	}
	request, _, choices, err := e.Fit(ctx, request)
	return request, choices, err
}

// guidanceNote says what was taken of a guidance that may have been meant otherwise: two
// numbers, or one with a comma in it.
func (r *reference) guidanceNote() string {
	g := r.job.Guidance
	if !slices.Contains(r.given, "sample_guide_scale") || r.resume != "" || g.Low == g.High {
		return ""
	}
	text := fmt.Sprintf("guidance %v for the low-noise expert and %v for the high-noise expert", g.Low, g.High)
	if g.Low == math.Trunc(g.Low) && g.High == math.Trunc(g.High) && g.Low >= 0 && g.High >= 0 {
		text += fmt.Sprintf("; one scale for both of %v and a fraction is written %v.%v", g.Low, g.Low, g.High)
	}
	return text
}

// also are the files that are written beside the run's.
func (r *reference) also() []output.File {
	files := profileFiles(r.profile)
	if r.device.capture != "" {
		files = append(files, output.File{Setting: "metal_capture", Path: r.device.capture})
	}
	return files
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
