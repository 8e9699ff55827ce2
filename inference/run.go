package inference

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"gimbal/inference/denoise"
	"gimbal/inference/runstate"
	"gimbal/inference/video"
	"gimbal/inference/weights"
)

// run is a job under way: its files as they were at the start, its latent and
// solver, and the folder that lets another process go on from here.
type run struct {
	*prepared
	p       *Pipeline
	emit    func(Event)
	started time.Time
	state   *runstate.Run

	step   int // steps done
	latent []float32
	solver *denoise.Solver
}

// record is what a run's folder says of the run besides its tensors. The job's
// picture and camera path stand in the folder, so that the originals may change.
type record struct {
	Job        Job           `json:"job"`
	Checkpoint source        `json:"checkpoint"`
	Device     string        `json:"device"`
	Solver     denoise.State `json:"solver"`
}

// Run is what ReadRun tells of an interrupted run.
type Run struct {
	Job        Job
	Checkpoint string // folder
	Quant      weights.Quant
	Device     string
	StepsDone  int
}

// ReadRun reads the folder of an interrupted run.
func ReadRun(dir string) (Run, error) {
	s, err := runstate.Open(dir)
	if err != nil {
		return Run{}, err
	}
	defer s.Close()
	_, rec, err := load(s)
	if err != nil {
		return Run{}, err
	}
	return Run{Job: rec.Job, Checkpoint: rec.Checkpoint.Dir, Quant: rec.Checkpoint.Quant, Device: rec.Device, StepsDone: rec.Solver.Next}, nil
}

// start draws the noise and saves the state before the first step.
func (p *Pipeline) start(q *prepared, emit func(Event)) (*run, error) {
	solver, err := denoise.New(q.job.Solver, q.job.Steps, q.job.Shift)
	if err != nil {
		return nil, err
	}
	if q.job, err = q.job.absolute(); err != nil {
		return nil, err
	}
	if q.job.FramesDir != "" {
		if err := video.CheckPNGs(q.job.FramesDir); err != nil {
			return nil, err
		}
	}
	if err := q.checkSpace(p.vae.Channels()); err != nil {
		return nil, err
	}
	dir := q.job.beside(".run")
	state, err := runstate.Create(dir)
	if errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("%s holds an unfinished run of %s: go on with it (--resume %[1]s), delete it, or choose another --save_file", dir, q.job.Output)
	}
	if err != nil {
		return nil, err
	}
	r := &run{prepared: q, p: p, emit: emit, started: time.Now(), state: state, solver: solver}
	r.latent = r.noise()
	if err := errors.Join(r.keepInputs(), r.save()); err != nil {
		return nil, errors.Join(err, state.Remove())
	}
	return r, nil
}

// noise returns the latent that the run starts from, [z, f, h, w].
func (r *run) noise() []float32 {
	noise := make([]float32, r.p.vae.Channels()*r.f*r.h*r.w)
	r.job.generator().Normal(noise)
	return noise
}

// reopen loads a run's state from its folder.
func (p *Pipeline) reopen(ctx context.Context, dir string, emit func(Event)) (_ *run, err error) {
	state, err := runstate.Open(dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			state.Close()
		}
	}()
	saved, rec, err := load(state)
	if err != nil {
		return nil, err
	}
	if rec.Checkpoint.Fingerprint != p.source.Fingerprint {
		return nil, fmt.Errorf("the run in %s was made with another checkpoint than %s, or with other files in it; resume with the one it began with", dir, p.source.Dir)
	}
	if began := rec.Checkpoint.Quant; began != p.source.Quant {
		return nil, fmt.Errorf("the run in %s began with --quant %v, not %v; resume with that", dir, began, p.source.Quant)
	}
	q, err := p.prepare(keptInputs(dir, rec.Job))
	if err != nil {
		return nil, err
	}
	q.job = rec.Job
	planned, err := p.checkMemory(ctx, q)
	if err != nil {
		return nil, err
	}
	q.noticeReloads(planned)
	if rec.Device != p.dev.Info().Name {
		q.notices = append(q.notices, fmt.Sprintf("the run began on %s: on %s the video may differ in its last bits", rec.Device, p.dev.Info().Name))
	}
	r := &run{prepared: q, p: p, emit: emit, started: time.Now(), state: state, step: saved.Step, latent: saved.Tensors["latent"]}
	if r.solver, err = denoise.Restore(rec.Solver); err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	if want := p.vae.Channels() * q.f * q.h * q.w; len(r.latent) != want {
		return nil, fmt.Errorf("%s: the latent has %d values, want %d", dir, len(r.latent), want)
	}
	return r, nil
}

// save puts the run's state on disk, in place of the one before it.
func (r *run) save() error {
	solver := r.solver.State()
	tensors := map[string][]float32{"latent": r.latent}
	for name, history := range histories(&solver) {
		tensors[name] = *history
		*history = nil
	}
	settings, err := json.Marshal(record{
		Job: r.job, Checkpoint: r.p.source, Device: r.p.dev.Info().Name, Solver: solver,
	})
	if err != nil {
		return fmt.Errorf("run state: %w", err)
	}
	return r.state.Save(runstate.State{Settings: settings, Step: r.step, Tensors: tensors})
}

// load reads the newest state of a run.
func load(s *runstate.Run) (runstate.State, record, error) {
	saved, err := s.Load()
	if err != nil {
		return saved, record{}, err
	}
	var rec record
	if err := json.Unmarshal(saved.Settings, &rec); err != nil {
		return saved, rec, fmt.Errorf("%s: settings: %w", s.Dir(), err)
	}
	for name, history := range histories(&rec.Solver) {
		*history = saved.Tensors[name]
	}
	return saved, rec, nil
}

// histories names the tensors of a solver's state.
func histories(s *denoise.State) map[string]*[]float32 {
	return map[string]*[]float32{"solver_newer": &s.Newer, "solver_older": &s.Older, "solver_last": &s.Last}
}

// The copies of a job's files in its run's folder.
const (
	keptPicture = "picture"
	keptCamera  = "camera"
)

// keepInputs copies the job's picture and camera path to the run's folder.
func (r *run) keepInputs() error {
	if err := copyFile(filepath.Join(r.state.Dir(), keptPicture), r.job.Image); err != nil {
		return err
	}
	if r.job.ActionPath == "" {
		return nil
	}
	dir := filepath.Join(r.state.Dir(), keptCamera)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, name := range []string{"poses.npy", "intrinsics.npy"} {
		if err := copyFile(filepath.Join(dir, name), filepath.Join(r.job.ActionPath, name)); err != nil {
			return err
		}
	}
	return nil
}

// keptInputs returns job with the files of the run's folder in place of its own.
func keptInputs(dir string, job Job) Job {
	job.Image = filepath.Join(dir, keptPicture)
	if job.ActionPath != "" {
		job.ActionPath = filepath.Join(dir, keptCamera)
	}
	return job
}

func copyFile(dst, src string) error {
	data, err := os.ReadFile(src)
	if err != nil {
		return fmt.Errorf("keeping a copy of %s: %w", src, err)
	}
	if err := os.WriteFile(dst, data, 0o644); err != nil {
		return fmt.Errorf("keeping a copy of %s: %w", src, err)
	}
	return nil
}
