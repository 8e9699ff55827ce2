package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"gimbal/inference"
	"gimbal/inference/clip"
	"gimbal/inference/engine"
	"gimbal/inference/service/api"
	"gimbal/inference/service/client"
	"gimbal/inference/service/jobs"
)

// serverKeyVariable holds the key for --server.
const serverKeyVariable = "GIMBAL_SERVER_KEY"

// serverFlag adds the flag that has a server make the video.
func (r *reference) serverFlag(fs *flag.FlagSet) {
	fs.StringVar(&r.server, "server", "", "have the service at this `address`, such as http://studio:7860, make the video; --ckpt_dir is then a model's name there, "+
		"--resume a video's id, and the environment's "+serverKeyVariable+" the key")
}

// onlyHere are flags that a server has no use for.
var onlyHere = []string{"device", "compute", "memory_limit", "metal_capture", "profile", "auto"}

// remote has a server make the video, or goes on with one that it makes.
func (r *reference) remote(ctx context.Context, stdout, stderr io.Writer) error {
	c, err := client.New(r.server, os.Getenv(serverKeyVariable))
	if err != nil {
		return usagef("--server: %w", err)
	}
	order, err := r.order()
	if err != nil {
		return usageError{err}
	}
	if err := engine.CheckOutputs(r.job); err != nil {
		return err
	}
	show := newReporter(r.json, stdout, stderr)
	defer show.close()
	id := jobs.ID(r.resume)
	if id == "" {
		v, err := c.Create(ctx, order)
		if err != nil {
			return err
		}
		id = v.ID
	}
	f := &following{c: c, emit: show.event, started: time.Now()}
	v, err := c.Follow(ctx, id, func(v api.Video) { f.video(ctx, v) }, func(err error) {
		show.event(inference.Notice{Text: fmt.Sprintf("the server is away, the video goes on there (%v); trying again", err)})
	})
	switch {
	case err != nil:
		return fmt.Errorf("the server goes on with the video; --server %s --resume %s --save_file %q fetches it: %w", r.server, id, r.job.Output, err)
	case v.Status != jobs.Done:
		return failed(v)
	}
	return f.fetch(ctx, id, r.job)
}

// failed is why a video did not come to be.
func failed(v api.Video) error {
	if v.Error != nil {
		return fmt.Errorf("the server's worker: %w", v.Error)
	}
	return fmt.Errorf("video %s: %s", v.ID, v.Status)
}

// order is what the flags ask for. What they leave out is for the server to fill in.
func (r *reference) order() (o client.Order, err error) {
	for _, name := range r.given {
		if slices.Contains(onlyHere, name) {
			return o, fmt.Errorf("--%s: the server decides that; it does not go with --server", name)
		}
	}
	wrong := []error{r.applySize(), r.applyTyped(), r.applyActions()}
	if r.resume == "" || r.job.Output != "" {
		wrong = append(wrong, r.nameVideo())
	} else {
		wrong = append(wrong, errors.New("--resume: want --save_file, too: where the video goes"))
	}
	o = client.Order{Settings: map[string]string{}, Picture: r.job.Image}
	if r.ckptDir != "" {
		o.Settings["model"] = r.ckptDir
	}
	for _, t := range r.typed {
		switch {
		case t.Use == inference.NoFile:
			o.Settings[t.Name] = t.Text(r.job)
		case !slices.Contains([]string{"image", "action_path", "save_file"}, t.Name):
			wrong = append(wrong, fmt.Errorf("--%s: a server takes and writes no such file", t.Name))
		}
	}
	if slices.Contains(r.given, "size") && o.Settings["max_area"] == "" {
		o.Settings["max_area"] = inference.FindSetting("max_area").Text(r.job)
	}
	if r.double {
		o.Settings["quant"] = inference.FindSetting("quant").Text(r.job)
	}
	if r.job.ActionString != "" {
		o.Settings["frame_num"] = inference.FindSetting("frame_num").Text(r.job)
	}
	if r.job.ActionPath != "" {
		control, err := clip.Find(r.job.ActionPath)
		o.Camera, wrong = control.Files, append(wrong, err)
	}
	if o.Picture == "" && r.resume == "" {
		wrong = append(wrong, errors.New("--image: none given, want the picture to start from"))
	}
	return o, errors.Join(wrong...)
}

// following turns what a server says of a video into an engine's events.
type following struct {
	c       *client.Client
	emit    func(inference.Event)
	started time.Time
	last    api.Video
}

func (f *following) video(ctx context.Context, v api.Video) {
	for _, text := range v.Notices[min(len(f.last.Notices), len(v.Notices)):] {
		f.emit(inference.Notice{Text: text})
	}
	if v.Position != nil && *v.Position > 0 && f.last.ID == "" {
		f.emit(inference.Notice{Text: fmt.Sprintf("%d videos wait before this one", *v.Position)})
	}
	if v.Frames > 0 && f.last.Frames == 0 {
		f.emit(inference.Prepared{Width: v.Width, Height: v.Height, Frames: v.Frames, FirstStep: v.Step + 1, Steps: v.Steps, RunDir: "on " + cmp.Or(v.Worker, "the server")})
	}
	if v.Step > f.last.Step && v.Step <= v.Steps {
		e := inference.Step{Index: v.Step, Total: v.Steps, Expert: v.Worker, Elapsed: time.Since(f.started), Remaining: time.Duration(v.Seconds * float64(time.Second))}
		if v.Preview {
			e.Preview, _ = f.c.Preview(ctx, v) // the next one comes soon
		}
		f.emit(e)
	}
	f.last = v
}

// fetch brings a video that is done, with its contact sheet and settings, to where the job
// wants it.
func (f *following) fetch(ctx context.Context, id jobs.ID, job inference.Job) error {
	base := strings.TrimSuffix(job.Output, ".mp4")
	saved := inference.Saved{Video: job.Output, ContactSheet: base + ".png", Sidecar: base + ".json"}
	for part, path := range map[string]string{"video": saved.Video, "contact_sheet": saved.ContactSheet, "sidecar": saved.Sidecar} {
		if err := f.c.Fetch(ctx, id, part, path); err != nil {
			return err
		}
	}
	saved.Seconds = time.Since(f.started).Seconds()
	f.emit(saved)
	return nil
}
