package inference

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gimbal/inference/picture"
	"gimbal/inference/wan"
)

// Generate makes the video of job and reports what happens to emit, which must
// return quickly. Bad settings and files give an error before any long work.
// When ctx ends, Generate returns within a second with an error that wraps
// ctx's; the run's folder stays and Resume goes on from it.
func (p *Pipeline) Generate(ctx context.Context, job Job, emit func(Event)) (Saved, error) {
	p.running.Lock()
	defer p.running.Unlock()
	q, err := p.prepare(job)
	if err != nil {
		return Saved{}, err
	}
	planned, err := p.checkMemory(ctx, q)
	if err != nil {
		return Saved{}, err
	}
	q.noticeReloads(planned)
	r, err := p.start(q, emit)
	if err != nil {
		return Saved{}, err
	}
	return r.finish(ctx)
}

// Resume goes on with the run whose state is in the folder dir, and gives the
// same bits as the unbroken run on the same device.
func (p *Pipeline) Resume(ctx context.Context, dir string, emit func(Event)) (Saved, error) {
	p.running.Lock()
	defer p.running.Unlock()
	r, err := p.reopen(ctx, dir, emit)
	if err != nil {
		return Saved{}, err
	}
	return r.finish(ctx)
}

// finish does what is left of a run: the steps, then the decoding.
func (r *run) finish(ctx context.Context) (Saved, error) {
	defer r.state.Close()
	for _, text := range r.notices {
		r.emit(Notice{Text: text})
	}
	r.emit(Prepared{
		Width: r.width, Height: r.height, Frames: r.frames,
		LatentShape: [4]int{r.p.vae.Channels(), r.f, r.h, r.w},
		RunDir:      r.state.Dir(), FirstStep: r.step + 1, Steps: r.job.Steps,
	})
	saved, err := r.work(ctx)
	if err != nil {
		if ctx.Err() != nil && !errors.Is(err, ctx.Err()) {
			err = fmt.Errorf("%w: %w", ctx.Err(), err)
		}
		return Saved{}, fmt.Errorf("%w (the run is kept in %s: resume it with --resume %[2]s)", err, r.state.Dir())
	}
	saved.Seconds = time.Since(r.started).Seconds()
	r.emit(saved)
	return saved, nil
}

func (r *run) work(ctx context.Context) (Saved, error) {
	r.p.collect()
	c := conditioning{}
	if r.step < r.job.Steps || r.job.DumpFile != "" {
		var err error
		if c, err = r.condition(ctx); err != nil {
			return Saved{}, err
		}
	}
	r.p.collect()
	if err := r.sample(ctx, c); err != nil {
		return Saved{}, err
	}
	r.p.collect()
	return r.decode(ctx, c)
}

// conditioning is what the experts are told besides the latent and the time.
type conditioning struct {
	prompts []wan.Context // the prompt's and the negative prompt's
	picture []float32     // the encoded picture and black frames, [z, f, h, w]
}

func (r *run) condition(ctx context.Context) (c conditioning, err error) {
	begin := time.Now()
	ids := [][]int32{r.p.tokenizer.Encode(r.job.Prompt), r.p.tokenizer.Encode(r.job.NegativePrompt)}
	if c.prompts, err = r.encodePrompts(ctx, ids); err != nil {
		return c, fmt.Errorf("encoding the prompt: %w", err)
	}
	r.emit(TextEncoded{Tokens: len(ids[0]), NegativeTokens: len(ids[1]), Seconds: time.Since(begin).Seconds()})

	begin = time.Now()
	if c.picture, err = r.encodePicture(ctx); err != nil {
		return c, fmt.Errorf("encoding the picture: %w", err)
	}
	r.emit(PictureEncoded{Seconds: time.Since(begin).Seconds()})
	return c, nil
}

// encodePrompts returns prompts as the experts take them. With Offload the text encoder
// is then let go of, until the next job.
func (r *run) encodePrompts(ctx context.Context, ids [][]int32) (contexts []wan.Context, err error) {
	if err := r.p.openText(ctx); err != nil {
		return nil, err
	}
	for _, prompt := range ids {
		states, err := r.p.text.Encode(ctx, prompt)
		if err != nil {
			return nil, err
		}
		contexts = append(contexts, wan.Context{Tokens: len(prompt), States: states})
	}
	if r.job.Offload {
		r.p.closeText()
	}
	r.p.dev.Trim()
	return contexts, nil
}

// encodePicture returns the latent of the picture followed by grey frames, as
// the reference encodes it.
func (r *run) encodePicture(ctx context.Context) ([]float32, error) {
	first := picture.Tensor(r.picture, r.width, r.height)
	latent, err := r.p.vae.Encode(ctx, func(t int, dst []float32) error {
		if t == 0 {
			copy(dst, first)
		} else {
			clear(dst)
		}
		return nil
	}, r.frames, r.height, r.width, r.job.VAETile)
	if err == nil {
		if bad := unhealthy(latent); bad != "" {
			err = fmt.Errorf("the latent is damaged: %s", bad)
		}
	}
	return latent, err
}

// mask returns the reference's picture mask, [frames a latent frame, f, h, w]: one
// for the first latent frame, which is given, and zero for the others.
func (r *run) mask() []float32 {
	plane := r.h * r.w
	m := make([]float32, r.p.vae.StrideT()*r.f*plane)
	for c := range r.p.vae.StrideT() {
		for i := range plane {
			m[c*r.f*plane+i] = 1
		}
	}
	return m
}
