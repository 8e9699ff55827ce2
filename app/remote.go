package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"

	"gimbal/inference"
	"gimbal/inference/engine"
	"gimbal/inference/service/client"
	"gimbal/inference/service/jobs"
)

// serverKeyVariable holds the key for --server.
const serverKeyVariable = "GIMBAL_SERVER_KEY"

// serverFlag adds the flag that has a server make the video.
func (r *reference) serverFlag(fs *flag.FlagSet) {
	fs.StringVar(&r.server, "server", "", "have the service at this `address`, such as http://studio:7860, make the video; --ckpt_dir is then a model's name there, "+
		"--lora the name of one there, --resume the folder of a run on it or a video's id, and the environment's "+serverKeyVariable+" the key")
}

// onlyHere are flags that a server has no use for.
var onlyHere = []string{"device", "compute", "memory_limit", "metal_capture", "profile"}

// filesForServer are the settings that name files and go with a server.
var filesForServer = []string{"image", "action_path", "save_file", "save_frames", "lora"}

// connect returns the engine of --server. The caller closes it.
func (r *reference) connect(log *slog.Logger) (*client.Engine, error) {
	var wrong []error
	for _, name := range r.given {
		if slices.Contains(onlyHere, name) {
			wrong = append(wrong, fmt.Errorf("--%s: the server decides that; it does not go with --server", name))
		}
	}
	for _, t := range r.typed {
		if t.Use != inference.NoFile && !slices.Contains(filesForServer, t.Name) {
			wrong = append(wrong, fmt.Errorf("--%s: a server takes and writes no such file", t.Name))
		}
	}
	c, err := client.New(r.server, os.Getenv(serverKeyVariable))
	if err != nil {
		wrong = append(wrong, fmt.Errorf("--server: %w", err))
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, usageError{err}
	}
	return client.NewEngine(c, log), nil
}

// completeThere is complete over what the model's makers recommend, as the server has it.
func (r *reference) completeThere(ctx context.Context, e engine.Engine, planned bool) error {
	m, err := e.Inspect(ctx, engine.Request{Checkpoint: r.ckptDir})
	if err != nil {
		return err
	}
	r.ckptDir, r.job.Recipe = m.Dir, m.Recipe
	return r.settle(planned)
}

// remote has a server make the video, or goes on with one that it makes.
func (r *reference) remote(ctx context.Context, stdout, stderr io.Writer) (err error) {
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	e, err := r.connect(log)
	if err != nil {
		return err
	}
	defer e.Close()
	r.warnIgnored(log)
	if r.resume == "" {
		err = r.completeThere(ctx, e, false)
	} else {
		err = r.attach(ctx, e)
	}
	if err != nil {
		return err
	}
	for _, note := range r.notes {
		log.Warn(note)
	}
	show := newReporter(r.json, stdout, stderr)
	defer show.close()
	request, choices, err := r.choose(ctx, e)
	if err != nil {
		return err
	}
	for _, c := range choices {
		show.event(inference.Notice{Text: fmt.Sprintf("chosen: %s (%s)", choiceText(c), c.Why)})
	}
	_, err = e.Run(ctx, request, show.event)
	if paused := (*inference.PausedError)(nil); errors.As(err, &paused) {
		if ctx.Err() != nil {
			return fmt.Errorf("the server goes on with the video; --server %s --resume %q fetches it: %w", r.server, paused.Dir, paused.Err)
		}
		return fmt.Errorf("%w (--server %s --resume %q goes on with it)", paused.Err, r.server, paused.Dir)
	}
	return err
}

// attach finds the run that --resume names: its folder, or a video's id.
func (r *reference) attach(ctx context.Context, e *client.Engine) (err error) {
	if _, ok := client.IsRun(r.resume); ok {
		return nil
	}
	if err := r.applyTyped(); err != nil {
		return usageError{err}
	}
	if r.job.Output == "" {
		return usagef("--resume %s: want --save_file, too: where the video goes", r.resume)
	}
	r.resume, err = e.Attach(ctx, jobs.ID(r.resume), r.job)
	return err
}
