package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"gimbal/inference"
	"gimbal/inference/clip"
	"gimbal/inference/denoise"
	"gimbal/inference/device"
	"gimbal/inference/plan"
	"gimbal/inference/tokenizer"
)

// run is a job on its way: what it is about, how far it came, and what takes the results.
type run struct {
	p       *Pipeline
	job     inference.Job
	clip    *clip.Clip
	camera  bool       // it has a control; a plan may know no more of it
	prompts [2][]int32 // the ids of the prompt and the negative prompt
	notices []inference.Notice
	adapted *adaptation // the job's LoRAs

	solver   *denoise.Solver
	chunks   *chunks // nil unless the model is causal: it has a solver for each
	guidance denoise.Guidance
	cache    denoise.Cache        // nil for none
	cached   denoise.CacheState   // that it goes on from
	by       *denoise.Calibration // that the cache goes by; nil where it needs none
	latent   []float32            // [channels, f, h, w]
	picture  *decoded
	small    *smallDecoder // while it works; nil for none

	emit    func(inference.Event)
	started time.Time
	state   *state       // on disk; nil when planning
	count   *plan.Device // nil unless planning
}

// planning reports whether nothing is computed: the run's device counts.
func (r *run) planning() bool { return r.count != nil }

// phaseTries is how often a phase is begun while the system stops the device's work.
const phaseTries = 4

// phase runs a part of the work, times of which are the same; a plan counts what each
// takes. work begins from what phases before left on the host, and leaves that as it is
// unless it succeeds: where the system stops the device, it is begun again.
func (r *run) phase(name string, times int, work func() error) error {
	if r.planning() {
		_, err := r.count.Phase(name, times, work)
		return err
	}
	err := work()
	for try := 1; try < phaseTries && errors.Is(err, device.ErrInterrupted); try++ {
		r.emit(inference.Notice{About: inference.NoticeDevice, Text: fmt.Sprintf("%s is begun again, in shorter pieces of work: %v", name, err)})
		err = work()
	}
	return err
}

// prepare checks the job's settings and looks at its files, without long work. It reports
// everything that is wrong at once.
func (p *Pipeline) prepare(job inference.Job) (*run, error) {
	_, err := Validate(job)
	return p.prepareRun(job, errors.Join(err, checkOutputs(job, p.layout.Dir, nil)))
}

// prepareRun is prepare of a job whose settings were looked at, of which err says what is
// wrong.
func (p *Pipeline) prepareRun(job inference.Job, err error) (*run, error) {
	c, errClip := clip.Open(job)
	adapted, errLoRA := openAdaptation(p.layout, job.LoRAs)
	if err := errors.Join(err, errClip, errLoRA); err != nil {
		return nil, errors.Join(err, adapted.close())
	}
	solver, err := newSolver(job)
	if err != nil {
		return nil, errors.Join(err, adapted.close())
	}
	r := p.newRun(job, c, solver)
	r.notices = modelNotices(p.layout, job.Boundary)
	if p.causal() {
		err = r.stand()
	} else if job.ChunkNoise {
		err = &inference.SettingError{Setting: "chunk_noise", Mistake: inference.Unusable, Found: "True", Want: "False: the model does not make its videos chunk by chunk"}
	}
	if err := errors.Join(err, r.checkControl(), r.checkSmall(), r.video().Check()); err != nil {
		return nil, errors.Join(err, adapted.close())
	}
	if r.adapted = adapted; adapted != nil {
		r.notices = append(r.notices, adapted.notices...)
	}
	if p.causal() {
		if err := errors.Join(r.newChunks(p.variant), r.checkCausal()); err != nil {
			return nil, errors.Join(err, adapted.close())
		}
	}
	for i, prompt := range [2]string{r.job.Prompt, r.job.NegativePrompt} {
		r.prompts[i] = p.tokenizer.Encode(prompt)
		if n, limit := p.tokenizer.Count(prompt), p.tokenizer.MaxLen; n > limit {
			r.notice(inference.NoticePrompt, "the %s has %d tokens, of which the model reads the first %d", [2]string{"prompt", "negative prompt"}[i], n, limit)
		}
	}
	return r, nil
}

func (p *Pipeline) newRun(job inference.Job, c *clip.Clip, solver *denoise.Solver) *run {
	return &run{
		p: p, job: job, clip: c, camera: c.Control != nil, solver: solver, picture: &decoded{path: job.Image}, started: time.Now(),
		guidance: denoise.Guidance{Low: job.Guidance.Low, High: job.Guidance.High, Boundary: job.Boundary,
			Interval: job.GuidanceInterval, Projected: job.CFGZero, Still: job.CFGZeroInit},
	}
}

// Validate reports everything that is wrong with a job's settings, as SettingErrors, and
// returns its solver.
func Validate(job inference.Job) (*denoise.Solver, error) {
	err := job.Validate()
	if inference.Blank(job.Prompt) || tokenizer.Clean(job.Prompt) == "" {
		err = errors.Join(err, &inference.SettingError{Setting: "prompt", Mistake: inference.Missing, Found: "none given", Want: "words that say what the video shows"})
	}
	for i, text := range []string{job.Prompt, job.NegativePrompt} {
		if !utf8.ValidString(text) {
			err = errors.Join(err, &inference.SettingError{Setting: []string{"prompt", "negative_prompt"}[i], Mistake: inference.Unusable, Found: fmt.Sprintf("%q", text), Want: "text in UTF-8 (which encoding does the terminal use?)"})
		}
	}
	if err != nil {
		return nil, err
	}
	return newSolver(job)
}

// newSolver returns the solver of a job.
func newSolver(job inference.Job) (*denoise.Solver, error) {
	return denoise.New(job.Solver, denoise.Schedule{Steps: job.Steps, Shift: job.Shift, HighSteps: job.HighSteps, Boundary: job.Boundary})
}

// checkControl checks that the model takes the job's control.
func (r *run) checkControl() error {
	if r.clip.Control == nil {
		return nil
	}
	if !r.p.HasCamera() {
		return &inference.SettingError{Setting: r.controlSetting(), Mistake: inference.Unusable,
			Found: cmp.Or(r.job.ActionString, r.job.ActionPath), Want: fmt.Sprintf("none, as the checkpoint %s has no camera control, or a base-cam checkpoint", r.p.layout.Dir)}
	}
	if err := CheckKeys(r.job, r.p.ReadsKeys()); err != nil {
		return err
	}
	if err := r.clip.Check(r.p.controlChannels()); err != nil {
		return &inference.SettingError{Setting: r.controlSetting(), Mistake: inference.Unusable, Err: err}
	}
	if r.clip.Frames < r.job.Frames {
		r.notice(inference.NoticeFrames, "%d frames instead of %d: %s holds no more poses", r.clip.Frames, r.job.Frames, cmp.Or(r.job.ActionString, r.job.ActionPath))
	}
	for _, n := range r.clip.Notes() {
		r.notice(inference.NoticeCamera, "%s", n.Text)
	}
	return nil
}

// CheckKeys refuses a job's keys in place of poses for a model that is told keys itself: as in
// the reference these make paths for cam checkpoints.
func CheckKeys(job inference.Job, readsKeys bool) error {
	if !readsKeys {
		return nil
	}
	refuse := func(setting, found, want string) error {
		return &inference.SettingError{Setting: setting, Mistake: inference.Unusable, Found: found,
			Want: want + ": the checkpoint is an act one, which is told the keys of an action folder's action.npy beside its poses; keys make a path for a cam checkpoint"}
	}
	switch {
	case job.ActionString != "":
		return refuse("action_string", job.ActionString, "none")
	case job.AllowAct2Cam:
		return refuse("allow_act2cam", "True", "False")
	}
	return nil
}

// controlSetting names the setting that the control comes from.
func (r *run) controlSetting() string {
	if r.job.ActionString != "" {
		return "action_string"
	}
	return "action_path"
}

func (r *run) notice(about inference.NoticeAbout, format string, args ...any) {
	r.notices = append(r.notices, inference.Notice{About: about, Text: fmt.Sprintf(format, args...)})
}

// Generate makes the video of job and reports what happens to emit, which must return
// quickly. Bad settings and files give an error before any long work. When ctx ends,
// Generate returns within a second with an error that wraps ctx's; the run's folder stays
// and Resume goes on from it. inputs is as in Request.
func (p *Pipeline) Generate(ctx context.Context, job inference.Job, inputs string, emit func(inference.Event)) (inference.Saved, error) {
	return p.generate(ctx, job, inputs, func(inference.Plan) error { return nil }, emit)
}

// generate is Generate that hands its plan to planned before it begins.
func (p *Pipeline) generate(ctx context.Context, job inference.Job, inputs string, planned func(inference.Plan) error, emit func(inference.Event)) (inference.Saved, error) {
	p.running.Lock()
	defer p.running.Unlock()
	r, err := p.prepare(job)
	if err != nil {
		return inference.Saved{}, err
	}
	defer r.close()
	if err := r.findCalibration(); err != nil {
		return inference.Saved{}, err
	}
	return r.make(ctx, inputs, planned, emit)
}

// make makes the video of a run that was prepared.
func (r *run) make(ctx context.Context, inputs string, planned func(inference.Plan) error, emit func(inference.Event)) (inference.Saved, error) {
	first, err := r.plan(ctx)
	if err == nil {
		err = planned(first)
	}
	r.started = time.Now() // what planned did is no part of the run
	if err == nil {
		err = r.checkMemory(ctx, first)
	}
	if err == nil {
		err = r.begin(inputs)
	}
	if err != nil {
		return inference.Saved{}, err
	}
	return r.finish(ctx, emit)
}

// Resume goes on with the run whose state is in the folder dir, and gives the same bits
// as the unbroken run on the same device.
func (p *Pipeline) Resume(ctx context.Context, dir string, emit func(inference.Event)) (inference.Saved, error) {
	p.running.Lock()
	defer p.running.Unlock()
	r, err := p.reopen(ctx, dir)
	if err != nil {
		return inference.Saved{}, err
	}
	defer r.close()
	return r.finish(ctx, emit)
}

// steps returns the number of the run's steps, and stepsDone how many of them are.
func (r *run) steps() int {
	if r.chunks != nil {
		return r.chunks.total * r.chunks.steps
	}
	return r.solver.Steps()
}

func (r *run) stepsDone() int {
	if r.chunks != nil {
		return r.chunks.done * r.chunks.steps
	}
	return r.solver.Next()
}

// finish does what is left of a run.
func (r *run) finish(ctx context.Context, emit func(inference.Event)) (inference.Saved, error) {
	defer r.state.Close()
	r.emit = emit
	for _, n := range r.notices {
		emit(n)
	}
	emit(inference.Prepared{
		Width: r.clip.Width, Height: r.clip.Height, Frames: r.clip.Frames, LatentShape: r.clip.LatentShape(r.p.vae.Channels()),
		RunDir: r.state.Dir(), FirstStep: r.stepsDone() + 1, Steps: r.steps(),
	})
	if p, ok := r.p.dev.(device.Preparer); ok {
		p.OnPreparation(func(n device.Preparation) { emit(inference.Preparing(n)) })
		defer p.OnPreparation(nil)
	}
	saved, err := inference.Saved{}, r.p.adapt(ctx, r.adapted)
	if err == nil {
		saved, err = r.work(ctx)
	}
	if err != nil {
		if ctx.Err() != nil && !errors.Is(err, ctx.Err()) {
			err = fmt.Errorf("%w: %w", ctx.Err(), err)
		}
		if !r.state.Kept() {
			return inference.Saved{}, &inference.LostRunError{Dir: r.state.Dir(), Err: err}
		}
		return inference.Saved{}, &inference.PausedError{Dir: r.state.Dir(), Err: err}
	}
	saved.Seconds = time.Since(r.started).Seconds()
	emit(saved)
	return saved, nil
}

// checkCausal refuses what a causal model does not do.
func (r *run) checkCausal() error {
	if cache := r.job.Cache(); cache != "" {
		return &inference.SettingError{Setting: cache, Mistake: inference.Unusable, Found: inference.FindSetting(cache).Text(r.job), Want: "0: a causal model needs all its steps"}
	}
	return nil
}

// close closes the LoRAs of a run that was not begun.
func (r *run) close() {
	if r.p.adapted != r.adapted {
		r.adapted.close()
	}
}

// work goes from the prompt to the video. A plan takes the very same way.
func (r *run) work(ctx context.Context) (saved inference.Saved, err error) {
	if r.small, err = r.p.openSmall(ctx, r.p.dev, r.job); err != nil && (asksForSmall(r.job) || ctx.Err() != nil) {
		return saved, err
	}
	defer func() { r.small.close() }()
	if r.chunks != nil {
		return r.stream(ctx)
	}
	r.p.collect()
	var c conditioning
	if r.solver.Next() < r.solver.Steps() || r.job.DumpFile != "" {
		if c, err = r.condition(ctx); err != nil {
			return saved, err
		}
	}
	r.p.collect()
	if err := r.sample(ctx, c); err != nil {
		return saved, err
	}
	r.p.collect()
	err = r.phase("decode", r.tiles(r.videoDecoder()), func() (err error) {
		saved, err = r.decode(ctx, c)
		return err
	})
	return saved, err
}
