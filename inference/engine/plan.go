package engine

import (
	"context"
	"errors"
	"fmt"
	"unicode/utf8"

	"gimbal/inference"
	"gimbal/inference/clip"
	"gimbal/inference/device"
	"gimbal/inference/plan"
	"gimbal/inference/wan"
	"gimbal/inference/weights"
)

// A plan is a run on a device that counts: the same code, from the prompt to the last
// frame, that hands what it makes to nobody.

// Plan says what job takes on the pipeline's device, with its weights as they are open.
// It does not wait for a job that runs.
func (p *Pipeline) Plan(ctx context.Context, job inference.Job) (inference.Plan, error) {
	r, err := p.prepare(job)
	if err != nil {
		return inference.Plan{}, err
	}
	defer r.adapted.close()
	return r.plan(ctx)
}

// plan plans the run as it is.
func (r *run) plan(ctx context.Context) (inference.Plan, error) {
	return r.planOn(ctx, r.p.dev, r.p.layout, nil)
}

// planOn plans the run on a device, with the weights of a layout. A job that the device
// has no room for is planned without the device's limit, so that the plan says how much
// it lacks.
func (r *run) planOn(ctx context.Context, dev device.Device, layout *weights.Layout, toMake []inference.Disk) (inference.Plan, error) {
	dry := *r
	err := dry.dryRun(ctx, plan.NewDevice(dev, true), layout)
	if errors.Is(err, device.ErrOutOfMemory) {
		err = dry.dryRun(ctx, plan.NewDevice(dev, false), layout)
	}
	if err != nil {
		return inference.Plan{}, fmt.Errorf("planning: %w", err)
	}
	info := dev.Info()
	p := inference.Plan{
		Device: info.Name, Limit: info.WorkingSet,
		Width: r.clip.Width, Height: r.clip.Height, Frames: r.clip.Frames, LatentShape: r.clip.LatentShape(dry.p.vae.Channels()),
		Phases: dry.count.Phases(), Disk: append(dry.disk(), toMake...),
		Notices: modelNotices(layout, r.job.Boundary),
	}
	p.Parts = []inference.Part{{Name: "text encoder", Bytes: layout.Text.Bytes()}, {Name: "VAE", Bytes: layout.VAE.Bytes()}}
	for _, name := range transformers {
		if m := dry.p.experts[name]; m != nil {
			store := layout.Experts[name].Store
			p.Parts = append(p.Parts, inference.Part{Name: name, Quant: string(store.Quantised()), Bytes: store.Bytes()})
			p.Tokens = r.clip.Latent(1) / m.PatchSize()
		}
	}
	return p, nil
}

// What the program itself holds, as measured: its own tables and stacks, and a piece of
// the tokenizer.
const (
	programBytes = 14 << 20
	pieceBytes   = 150
)

// dryRun runs r on a device that counts.
func (r *run) dryRun(ctx context.Context, count *plan.Device, layout *weights.Layout) error {
	r.count, r.emit, r.latent = count, func(inference.Event) {}, nil
	if r.chunks != nil {
		dry := *r.chunks
		dry.done, dry.noise = 0, nil
		r.chunks = &dry
	}
	r.p = &Pipeline{dev: count, layout: layout, Reuse: r.p.Reuse, adapted: r.adapted}
	for _, part := range r.p.parts(ctx) {
		if err := part.open(); err != nil {
			return err
		}
	}
	for i := range r.prompts {
		for _, m := range r.p.experts {
			r.prompts[i] = r.prompts[i][:min(len(r.prompts[i]), m.Config.TextLen)]
		}
	}
	var err error
	if r.solver, err = newSolver(r.job); err != nil {
		return err
	}
	latent := r.clip.Latent(r.p.vae.Channels())
	count.Hold(programBytes + pieceBytes*int64(r.p.text.Vocab()) + 4*int64(latent+r.clip.PictureWidth*r.clip.PictureHeight))
	_, err = r.work(ctx)
	return err
}

// Plan says what a request takes on a device, before anything is loaded. Numbers of tokens
// are guessed, and times are left out. It takes well under a second at any size.
func Plan(ctx context.Context, dev device.Device, r Request) (inference.Plan, error) {
	layout, toMake, err := r.open()
	if err != nil {
		return inference.Plan{}, err
	}
	defer layout.Close()
	c, err := clip.OpenSized(r.Job, r.PictureWidth, r.PictureHeight)
	if err := errors.Join(inference.FindSetting("frame_num").Check(r.Job), err); err != nil {
		return inference.Plan{}, err
	}
	job, err := absolute(r.Job)
	if err != nil {
		return inference.Plan{}, err
	}
	q := (&Pipeline{Reuse: wan.AllReuse}).newRun(job, c, nil)
	q.camera = q.camera || r.Camera
	if q.adapted, err = openAdaptation(layout, job.LoRAs); err != nil {
		return inference.Plan{}, err
	}
	defer q.adapted.close()
	if _, causal := layout.Experts[weights.Causal]; causal {
		if err := errors.Join(q.stand(), q.newChunks(r.variant(layout))); err != nil {
			return inference.Plan{}, err
		}
	}
	for i, prompt := range [2]string{q.job.Prompt, q.job.NegativePrompt} {
		q.prompts[i] = make([]int32, guessTokens(prompt))
	}
	return q.planOn(ctx, dev, layout, toMake)
}

// checkpoint says what of which checkpoint the request is for.
func (r Request) checkpoint() weights.Checkpoint { return checkpointOf(r.Checkpoint, r.Job) }

// checkpointOf says what of the checkpoint in a folder a job is for.
func checkpointOf(dir string, job inference.Job) weights.Checkpoint {
	return weights.Checkpoint{Dir: dir, Parts: weights.Parts(job.Parts), Assets: job.Assets, Model: job.Causal.Mode}
}

// variant says which variant the request's checkpoint is.
func (r Request) variant(l *weights.Layout) Variant {
	if r.Dims == (weights.Dims{}) {
		return variantOf(r.checkpoint(), l)
	}
	return madeUpVariant(r.Dims)
}

// open opens the request's checkpoint, or makes up one of its sizes, with the weights of
// its kind, which need not be there yet: it says what is to be made.
func (r Request) open() (layout *weights.Layout, toMake []inference.Disk, err error) {
	if r.Dims != (weights.Dims{}) {
		layout = madeUp(r.Dims)
	} else if layout, err = r.checkpoint().Open(); err != nil {
		return nil, nil, err
	}
	if r.Job.Quant == inference.QuantNone {
		return layout, nil, nil
	}
	for name, e := range layout.Experts {
		store, missing, folder, err := weights.DryQuantised(layout.Dir, name, e.Store, stored(r.Job.Quant))
		if err != nil {
			return nil, nil, errors.Join(fmt.Errorf("%s: %w", name, err), layout.Close())
		}
		if store != e.Store {
			if err := e.Store.Close(); err != nil {
				return nil, nil, err
			}
			layout.Experts[name] = weights.Expert{Store: store, Config: e.Config}
		}
		if missing > 0 {
			toMake = append(toMake, inference.Disk{What: r.Job.Quant.String() + " weights of " + name, Folder: folder, Bytes: missing, Stays: true})
		}
	}
	return layout, toMake, nil
}

// madeUp is a checkpoint of sizes that nobody has here.
func madeUp(d weights.Dims) *weights.Layout {
	l := &weights.Layout{Text: d.DryText(), VAE: d.DryVAE(), Experts: map[string]weights.Expert{}}
	names := experts
	if d.Causal {
		names = []string{weights.Causal}
	}
	for _, name := range names {
		l.Experts[name] = d.DryExpert()
	}
	return l
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

// Fit is Engine.Fit on a device.
func Fit(ctx context.Context, dev device.Device, r Request) (Request, inference.Plan, []inference.Choice, error) {
	job, p, choices, err := plan.Fit(r.Job, r.Only, func(job inference.Job) (inference.Plan, error) {
		next := r
		next.Job = job
		return Plan(ctx, dev, next)
	})
	if err == nil {
		r.Job = job
	}
	return r, p, choices, err
}

// checkMemory returns an inference.MemoryError if the device has no room for the run, whose
// plan is first, and notices if weights do not stay in memory.
func (r *run) checkMemory(ctx context.Context, first inference.Plan) error {
	if first.Fit() != inference.TooMuch {
		r.noticeReloads(first)
		return nil
	}
	of := func(job inference.Job, frames int) (inference.Plan, error) {
		next := *r
		c := *r.clip
		if r.chunks != nil {
			all := *r.chunks
			all.total = max(1, inference.Wan.LatentFrames(frames)/all.Chunk)
			frames = inference.Wan.Frames(all.total * all.Chunk)
			next.chunks = &all
		}
		c.Frames, c.LatentFrames = frames, inference.Wan.LatentFrames(frames)
		next.job, next.clip = job, &c
		return next.plan(ctx)
	}
	return plan.TooLarge(r.job, r.clip.Frames, first, of)
}

// noticeReloads says so if weights do not stay in memory.
func (r *run) noticeReloads(p inference.Plan) {
	if p.Fit() != inference.Reloads {
		return
	}
	largest := p.Largest()
	r.notice(inference.NoticeReloads, "%s holds %s with its weights, more than the %s of %s: weights are read from disk again in every pass, which is slow",
		largest.Name, inference.Size(largest.Resident()), inference.Size(p.Limit), p.Device)
}
