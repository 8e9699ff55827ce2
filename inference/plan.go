package inference

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"unicode/utf8"

	"gimbal/inference/camera"
	"gimbal/inference/device"
	"gimbal/inference/picture"
	"gimbal/inference/plan"
	"gimbal/inference/vae"
	"gimbal/inference/weights"
)

// PlanRequest says what to plan.
type PlanRequest struct {
	// Checkpoint is the folder of the checkpoint. Only the heads of its files are
	// read.
	Checkpoint string
	// Dims are the sizes of a model that need not be there, in place of Checkpoint;
	// the zero value stands for none.
	Dims weights.Dims
	Job  Job
	// Camera plans for a camera path where the job names none.
	Camera bool
	Quant  weights.Quant
	// Device is the device that will run the job: its name, its limits and how it
	// rounds sizes count; nothing is allocated on it and nothing runs.
	Device device.Device
	// Only names the one setting that PlanAuto may change, such as "vae_tile"; "" for
	// all.
	Only string
	// Rates are the device's, from plan.Measure or plan.ReadRates; the zero value
	// leaves times out of the plan.
	Rates plan.Rates
}

// PlanOf says what a job takes before anything is loaded. The job's picture and
// camera path are looked at; a job without a picture is planned for one of 832x480
// pixels. Numbers of tokens are guessed. It takes well under a second at any size.
// The plan of a job that does not fit is no error: see Plan.Fit.
func PlanOf(ctx context.Context, r PlanRequest) (plan.Plan, error) {
	parts, err := r.open()
	if err != nil {
		return plan.Plan{}, err
	}
	defer parts.close()
	return r.plan(ctx, parts)
}

// Plan says what job takes on the pipeline's device, with its weights as they are
// open. Rates may be the zero value. It does not wait for a job that runs.
func (p *Pipeline) Plan(ctx context.Context, job Job, rates plan.Rates) (plan.Plan, error) {
	q, err := p.prepare(job)
	if err != nil {
		return plan.Plan{}, err
	}
	return p.plan(ctx, q, rates)
}

// plan plans a job that was prepared.
func (p *Pipeline) plan(ctx context.Context, q *prepared, rates plan.Rates) (plan.Plan, error) {
	d := &draft{parts: p.parts(), prepared: q, dev: p.dev, rates: rates, camera: q.path != nil}
	for _, prompt := range []string{q.job.Prompt, q.job.NegativePrompt} {
		d.tokens = append(d.tokens, len(p.tokenizer.Encode(prompt)))
	}
	return d.plan(ctx)
}

// parts are what a plan needs of a checkpoint.
type parts struct {
	text, vae  *weights.Store
	statistics vae.Statistics
	experts    map[string]weights.Expert
	quant      weights.Quant
	toMake     []plan.Disk // quantised weights to be made
	opened     []*weights.Store
}

// parts returns those of the open checkpoint.
func (p *Pipeline) parts() *parts {
	return &parts{text: p.layout.Text, vae: p.layout.VAE, statistics: statistics(p.layout), experts: p.layout.Experts, quant: p.source.Quant}
}

func (p *parts) close() {
	for _, s := range p.opened {
		s.Close()
	}
}

// open opens the request's checkpoint, or makes up one of its sizes.
func (r PlanRequest) open() (*parts, error) {
	p := &parts{experts: map[string]weights.Expert{}, quant: r.Quant}
	dir := r.Checkpoint
	if r.Dims != (weights.Dims{}) {
		p.text, p.vae = r.Dims.DryText(), r.Dims.DryVAE()
		p.statistics = vae.WanStatistics()
		for _, name := range []string{weights.HighNoise, weights.LowNoise} {
			p.experts[name] = r.Dims.DryExpert()
		}
		dir = ""
	} else {
		layout, err := weights.OpenLayout(dir)
		if err != nil {
			return nil, err
		}
		p.text, p.vae, p.statistics, p.experts = layout.Text, layout.VAE, statistics(layout), layout.Experts
		p.opened = []*weights.Store{p.text, p.vae}
		for _, e := range layout.Experts {
			p.opened = append(p.opened, e.Store)
		}
	}
	if !r.Quant.Enabled() {
		return p, nil
	}
	for name, e := range p.experts {
		store, missing, folder, err := weights.DryQuantised(dir, name, e.Store, r.Quant)
		if err != nil {
			p.close()
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if store != e.Store {
			p.opened = append(p.opened, store)
		}
		p.experts[name] = weights.Expert{Store: store, Config: e.Config}
		if missing > 0 {
			p.toMake = append(p.toMake, plan.Disk{What: r.Quant.String() + " weights of " + name, Folder: folder, Bytes: missing, Stays: true})
		}
	}
	return p, nil
}

// plan plans the request's job.
func (r PlanRequest) plan(ctx context.Context, p *parts) (plan.Plan, error) {
	q := &prepared{job: r.Job, frames: r.Job.Frames}
	if err := errors.Join(CheckFrames(r.Job.Frames), q.sizes()); err != nil {
		return plan.Plan{}, err
	}
	d := &draft{parts: p, prepared: q, dev: r.Device, rates: r.Rates, camera: q.path != nil || r.Camera}
	for _, prompt := range []string{r.Job.Prompt, r.Job.NegativePrompt} {
		d.tokens = append(d.tokens, guessTokens(prompt))
	}
	return d.plan(ctx)
}

// The picture of a job without one.
const defaultWidth, defaultHeight = 832, 480

// sizes finds the size and the length of the video, and the latent's rows and columns.
func (q *prepared) sizes() error {
	width, height := defaultWidth, defaultHeight
	if q.job.Image != "" {
		img, err := picture.Load(q.job.Image)
		if err != nil {
			return err
		}
		q.picture = img
		width, height = img.Bounds().Dx(), img.Bounds().Dy()
	}
	fit, err := picture.Fit(width, height, q.job.MaxArea)
	if err != nil {
		return err
	}
	q.width, q.height, q.w, q.h = fit.Width, fit.Height, fit.LatentWidth, fit.LatentHeight
	if q.job.ActionPath != "" {
		if q.path, err = camera.Open(q.job.ActionPath); err != nil {
			return err
		}
		q.frames = q.path.EffectiveFrames(q.job.Frames)
	}
	if q.job.Output != "" {
		q.job.Output, err = filepath.Abs(q.job.Output)
	}
	return err
}

// guessTokens returns about the number of tokens of a prompt: a token is a word of
// five letters, or one and a half ideographs.
func guessTokens(prompt string) int {
	letters, others := 0, 0
	for _, r := range prompt {
		if r < utf8.RuneSelf {
			letters++
		} else {
			others++
		}
	}
	return 1 + letters/5 + others*2/3
}
