package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"gimbal/inference"
	"gimbal/inference/clip"
	"gimbal/inference/denoise"
	"gimbal/inference/noise"
	"gimbal/inference/runstate"
)

// state is a run's folder.
type state = runstate.Run

// record is what a run's folder says of the run besides its tensors. The job's
// picture and camera path stand in the folder, so that the originals may change.
type record struct {
	Job        inference.Job `json:"job"`
	Checkpoint source        `json:"checkpoint"`
	Device     string        `json:"device"`
	Solver     denoise.State `json:"solver"`
	Chunks     int           `json:"chunks,omitempty"` // of a causal model's that are done; nothing of them is kept but the latent

	Cache denoise.CacheState `json:"cache,omitzero"`
	// Calibration is what the cache goes by, which may be made anew meanwhile.
	Calibration *denoise.Calibration `json:"calibration,omitempty"`
	Calibrating bool                 `json:"calibrating,omitempty"` // the run is there for what its cache takes down
}

// Paused is an interrupted run.
type Paused struct {
	Job        inference.Job
	Checkpoint string // folder
	Device     string
	StepsDone  int
}

// ReadRun reads the folder of an interrupted run.
func ReadRun(dir string) (Paused, error) {
	s, err := runstate.Open(dir)
	if err != nil {
		return Paused{}, err
	}
	defer s.Close()
	saved, rec, err := load(s)
	if err != nil {
		return Paused{}, err
	}
	return Paused{Job: rec.Job, Checkpoint: rec.Checkpoint.Dir, Device: rec.Device, StepsDone: saved.Step}, nil
}

// MoveRun gives the interrupted run in a folder, which was begun elsewhere, the files that a
// job names here: its video, the folder for its frames, and its LoRAs, which are the same ones
// in the same order. Tensors are then not kept beside it.
func MoveRun(dir string, here inference.Job) error {
	s, err := runstate.Open(dir)
	if err != nil {
		return err
	}
	defer s.Close()
	saved, rec, err := load(s)
	if err != nil {
		return err
	}
	rec.Job.Output, rec.Job.FramesDir, rec.Job.DumpFile, rec.Job.LoRAs = here.Output, here.FramesDir, "", here.LoRAs
	if rec.Job, err = absolute(rec.Job); err != nil {
		return err
	}
	for i, l := range rec.Job.LoRAs.Used() {
		if i < len(rec.Checkpoint.LoRAs) {
			rec.Checkpoint.LoRAs[i].LoRA = l
		}
	}
	for _, history := range histories(&rec.Solver) {
		*history = nil // they are among the tensors
	}
	if saved.Settings, err = json.Marshal(rec); err != nil {
		return err
	}
	return s.Save(saved)
}

// begin draws the noise and saves the state before the first step.
func (r *run) begin(inputs string) (err error) {
	if r.job, err = absolute(r.job); err != nil {
		return err
	}
	if err := errors.Join(checkFrames(r.job), r.checkSpace()); err != nil {
		return err
	}
	if _, err := r.picture.get(); err != nil {
		return err
	}
	dir := Beside(r.job, ".run")
	if r.state, err = runstate.Create(dir); err != nil {
		return ofVideo(err, r.job)
	}
	r.latent = r.noise()
	if err := errors.Join(shareInputs(dir, inputs, r.job), r.save()); err != nil {
		return errors.Join(err, r.state.Remove())
	}
	return nil
}

// checkRun returns an error if another run of the job's video is under way, or unfinished.
func checkRun(j inference.Job) error {
	j, err := absolute(j)
	if err != nil || j.Output == "" { // Validate says so
		return err
	}
	return ofVideo(runstate.Check(Beside(j, ".run")), j)
}

// ofVideo says of which video a run is that is in the way.
func ofVideo(err error, j inference.Job) error {
	var busy *inference.BusyError
	switch {
	case errors.As(err, &busy):
		busy.Output = j.Output
		return busy
	case errors.Is(err, os.ErrExist):
		return &inference.UnfinishedError{Dir: Beside(j, ".run"), Output: j.Output}
	}
	return err
}

// noise returns the latent that the run starts from, [z, f, h, w]. What a causal model draws
// comes after it, from the same generator.
func (r *run) noise() []float32 {
	values := make([]float32, r.clip.Latent(r.p.vae.Channels()))
	generator := noise.New(r.job.NoiseRNG, r.job.Seed)
	if r.chunks != nil {
		r.chunks.noise = generator
	}
	if !r.job.ChunkNoise {
		generator.Normal(values)
		return values
	}
	plane := r.clip.LatentHeight * r.clip.LatentWidth
	part := make([]float32, len(values)/r.chunks.total)
	for k := range r.chunks.total {
		chunkNoise(r.job, k).Normal(part)
		copyBack(values, part, r.clip.LatentFrames, r.chunks.from(k), r.chunks.Chunk, plane)
	}
	return values
}

// reopen loads a run's state from its folder.
func (p *Pipeline) reopen(ctx context.Context, dir string) (_ *run, err error) {
	state, err := runstate.Open(dir)
	if err != nil {
		return nil, err
	}
	var r *run
	defer func() {
		if err != nil {
			state.Close()
			if r != nil {
				r.close()
			}
		}
	}()
	saved, rec, err := load(state)
	if err != nil {
		return nil, err
	}
	if rec.Checkpoint.Fingerprint != p.source.Fingerprint {
		return nil, &inference.OtherCheckpointError{Run: dir, Checkpoint: p.source.Dir}
	}
	if rec.Job.Quant != p.source.Quant {
		return nil, &inference.SettingError{Setting: "quant", Mistake: inference.Unusable,
			Found: p.source.Quant.String(), Want: fmt.Sprintf("%s, which the run in %s began with", rec.Job.Quant, dir)}
	}
	if r, err = p.prepare(keptInputs(dir, rec.Job)); err != nil {
		return nil, err
	}
	if now := r.source(); !slices.Equal(now.LoRAs, rec.Checkpoint.LoRAs) {
		return nil, &inference.SettingError{Setting: "lora", Mistake: inference.Unusable,
			Found: "another file, or another version of it", Want: fmt.Sprintf("those that the run in %s began with", dir)}
	}
	if r.cached, r.by = rec.Cache, rec.Calibration; r.by == nil {
		if err = r.findCalibration(); err != nil {
			return nil, err
		}
	}
	if rec.Calibrating {
		r.cache = denoise.NewRecorder(rec.Cache)
	}
	r.job, r.state, r.latent = rec.Job, state, saved.Tensors["latent"]
	if r.chunks != nil {
		r.noise()
		if r.chunks.done = rec.Chunks; rec.Chunks < 0 || rec.Chunks > r.chunks.total {
			return nil, fmt.Errorf("%s: %d chunks are done, want 0 to %d", dir, rec.Chunks, r.chunks.total)
		}
		if rec.Chunks > 0 {
			r.notice(inference.NoticeResumed, "%d of %d chunks are done: their keys and values are computed once more, which takes a step of each, and the latest are decoded once more", rec.Chunks, r.chunks.total)
		}
	}
	if r.solver, err = denoise.Restore(rec.Solver); err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	if want := r.clip.Latent(p.vae.Channels()); len(r.latent) != want {
		return nil, fmt.Errorf("%s: the latent has %d values, want %d", dir, len(r.latent), want)
	}
	if rec.Device != p.dev.Info().Name {
		r.notice(inference.NoticeDevice, "the run began on %s: on %s the video may differ in its last bits", rec.Device, p.dev.Info().Name)
	}
	first, err := r.plan(ctx)
	if err != nil {
		return nil, err
	}
	return r, r.checkMemory(ctx, first)
}

// save puts the run's state on disk, in place of the one before it.
func (r *run) save() error {
	solver := r.solver.State()
	tensors := map[string][]float32{"latent": r.latent}
	for name, history := range histories(&solver) {
		tensors[name] = *history
		*history = nil
	}
	var cache denoise.CacheState
	if r.cache != nil {
		cache = r.cache.State()
		for name, tensor := range cache.Tensors() {
			if len(*tensor) > 0 {
				tensors[name] = *tensor
			}
		}
	}
	settings, err := json.Marshal(record{
		Job: r.job, Checkpoint: r.source(), Device: r.p.dev.Info().Name, Solver: solver, Chunks: r.chunksDone(), Cache: cache,
		Calibration: r.by, Calibrating: r.recorder() != nil,
	})
	if err != nil {
		return fmt.Errorf("run state: %w", err)
	}
	return r.state.Save(runstate.State{Settings: settings, Step: r.stepsDone(), Tensors: tensors})
}

func (r *run) chunksDone() int {
	if r.chunks == nil {
		return 0
	}
	return r.chunks.done
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
	if rec.Job.Quant == inference.QuantNone { // where older runs have it
		rec.Job.Quant = rec.Checkpoint.Quant
	}
	for name, history := range histories(&rec.Solver) {
		*history = saved.Tensors[name]
	}
	for name, tensor := range rec.Cache.Tensors() {
		*tensor = saved.Tensors[name]
	}
	return saved, rec, nil
}

// histories names the tensors of a solver's state.
func histories(s *denoise.State) map[string]*[]float32 {
	return map[string]*[]float32{"solver_newer": &s.Newer, "solver_older": &s.Older, "solver_last": &s.Last}
}

// The copies of a job's files in the folder that KeepInputs fills.
const (
	KeptPicture = "picture"
	KeptCamera  = "camera"
)

// inputFiles lists a job's files and their copies, relative to the folder of copies.
func inputFiles(job inference.Job) (map[string]string, error) {
	files := map[string]string{KeptPicture: job.Image}
	if job.ActionPath != "" {
		control, err := clip.Find(job.ActionPath)
		if err != nil {
			return nil, err
		}
		for name, path := range control.Files {
			files[filepath.Join(KeptCamera, name)] = path
		}
	}
	return files, nil
}

// KeepInputs copies the job's picture and the files of its control to the folder dir, as
// "picture" and, by their names in an action folder, such as "camera/poses.npy".
func KeepInputs(dir string, job inference.Job) error { return shareInputs(dir, "", job) }

// shareInputs is KeepInputs that links to the copies in the folder kept, which nobody
// changes, where the system can; "" for none.
func shareInputs(dir, kept string, job inference.Job) error {
	files, err := inputFiles(job)
	if err != nil {
		return err
	}
	for name, path := range files {
		to := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if kept != "" && os.Link(filepath.Join(kept, name), to) == nil {
			continue
		}
		data, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(to, data, 0o644)
		}
		if err != nil {
			return fmt.Errorf("keeping a copy of %s: %w", path, err)
		}
	}
	return nil
}

// keptInputs returns job with the copies in a folder in place of its own files.
func keptInputs(dir string, job inference.Job) inference.Job {
	job.Image = filepath.Join(dir, KeptPicture)
	if job.ActionPath != "" {
		job.ActionPath = filepath.Join(dir, KeptCamera)
	}
	return job
}
