package engine

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/renameio/v2"

	"gimbal/inference"
	"gimbal/inference/denoise"
	"gimbal/inference/output"
	"gimbal/inference/runstate"
	"gimbal/inference/weights"
)

// calibrationFormat tells the file of a calibration from others.
const calibrationFormat = "gimbal calibration 1"

// calibrationFile is a calibration on disk.
type calibrationFile struct {
	Format      string `json:"format"`
	Fingerprint string `json:"fingerprint"` // of the checkpoint
	denoise.Calibration
}

// Calibrated is a calibration that was made.
type Calibrated struct {
	denoise.Calibration
	Steps []denoise.Recorded
	Path  string // of its file
	Aside error  // why it does not lie beside the checkpoint; nil if it does
}

// Calibrate makes the video of job without a cache, and keeps what caches go by beside the
// checkpoint, or, where that cannot be written, among Gimbal's own files of the user. It
// replaces an earlier calibration of this checkpoint and nothing else. One that was interrupted
// goes on if it is called with the same job again.
func (p *Pipeline) Calibrate(ctx context.Context, job inference.Job, emit func(inference.Event)) (Calibrated, error) {
	p.running.Lock()
	defer p.running.Unlock()
	job.Caches = inference.Caches{}
	if p.causal() {
		return Calibrated{}, errors.New("a causal model needs all its steps: there is no cache to calibrate it for")
	}
	r, err := p.goOnCalibrating(ctx, job)
	if err != nil {
		return Calibrated{}, err
	}
	if r != nil {
		defer r.close()
		_, err = r.finish(ctx, emit)
	} else {
		if r, err = p.prepare(job); err != nil {
			return Calibrated{}, err
		}
		defer r.close()
		r.cache = denoise.NewRecorder(denoise.CacheState{})
		_, err = r.make(ctx, "", func(inference.Plan) error { return nil }, emit)
	}
	if err != nil {
		return Calibrated{}, err
	}
	recorder := r.recorder()
	c := Calibrated{Steps: recorder.Steps, Calibration: denoise.Calibration{
		Solver: job.Solver, Steps: job.Steps, HighSteps: job.HighSteps, Shift: job.Shift, Boundary: job.Boundary, Experts: recorder.Curves(),
	}}
	c.Path, c.Aside, err = p.keepCalibration(c.Calibration)
	return c, err
}

// recorder returns what takes down a calibration; nil in other runs.
func (r *run) recorder() *denoise.Recorder {
	recorder, _ := r.cache.(*denoise.Recorder)
	return recorder
}

// goOnCalibrating opens the interrupted calibration by a job; nil if there is none. One by another
// job, or of another checkpoint, that is in its place is removed: nobody can go on with it.
func (p *Pipeline) goOnCalibrating(ctx context.Context, job inference.Job) (*run, error) {
	job, err := absolute(job)
	if err != nil {
		return nil, err
	}
	dir := Beside(job, ".run")
	if !runstate.IsRun(dir) {
		return nil, nil
	}
	s, err := runstate.Open(dir)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	_, rec, err := load(s)
	if err != nil || !rec.Calibrating {
		return nil, err // and beginning one says what is in the way
	}
	was, err1 := json.Marshal(rec.Job)
	is, err2 := json.Marshal(job)
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	if !bytes.Equal(was, is) || rec.Checkpoint.Fingerprint != p.source.Fingerprint {
		return nil, s.Remove()
	}
	if err := s.Close(); err != nil {
		return nil, err
	}
	return p.reopen(ctx, dir)
}

// calibrationDirs lists where a calibration may be, the best place first.
func (p *Pipeline) calibrationDirs() []string {
	dirs := []string{p.layout.Dir}
	if user, err := os.UserConfigDir(); err == nil {
		dirs = append(dirs, filepath.Join(user, "Gimbal", "calibrations"))
	}
	return dirs
}

func (p *Pipeline) calibrationName() string { return weights.CalibrationFile(p.source.Fingerprint) }

// keepCalibration writes a calibration. It returns why that is not beside the checkpoint.
func (p *Pipeline) keepCalibration(c denoise.Calibration) (path string, aside, err error) {
	text, err := json.Marshal(calibrationFile{calibrationFormat, p.source.Fingerprint, c})
	if err != nil {
		return "", nil, err
	}
	var errs []error
	for i, dir := range p.calibrationDirs() {
		path := filepath.Join(dir, p.calibrationName())
		if _, err := readCalibration(path); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.As(err, new(*weights.Error)) {
			errs = append(errs, err)
			continue
		}
		if i > 0 {
			err = os.MkdirAll(dir, 0o755)
		}
		if err == nil {
			err = renameio.WriteFile(path, append(text, '\n'), 0o644)
		}
		if err == nil {
			return path, errors.Join(errs...), nil
		}
		errs = append(errs, output.Explain(path, err))
	}
	return "", nil, errors.Join(errs...)
}

// readCalibration reads the file of a calibration. The error is a *weights.Error where it is one
// that cannot be used.
func readCalibration(path string) (*calibrationFile, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var f calibrationFile
	if err := json.Unmarshal(text, &f); err != nil || f.Format != calibrationFormat {
		return nil, fmt.Errorf("%s: found another file than a calibration that Gimbal made, which is left as it is", path)
	}
	for name, c := range f.Experts {
		for _, values := range [][]float64{c.Ratios[denoise.Prompt], c.Ratios[denoise.Negative]} {
			if slices.ContainsFunc(values, func(v float64) bool { return !(v > 0) || v > math.MaxFloat32 }) {
				return nil, &weights.Error{Path: path, Field: name, Found: fmt.Sprint(values), Want: "positive numbers: calibrate the checkpoint again"}
			}
		}
	}
	return &f, nil
}

// calibration returns that of the checkpoint; nil if there is none.
func (p *Pipeline) calibration() (*denoise.Calibration, error) {
	for _, dir := range p.calibrationDirs() {
		f, err := readCalibration(filepath.Join(dir, p.calibrationName()))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return nil, err
		case f.Fingerprint == p.source.Fingerprint:
			return &f.Calibration, nil
		}
	}
	return nil, nil
}

// CheckCalibration returns an error if the job's cache wants a calibration of the checkpoint and
// there is none that will do.
func (p *Pipeline) CheckCalibration(job inference.Job) error {
	return (&run{p: p, job: job}).findCalibration()
}

// findCalibration finds what the job's cache goes by.
func (r *run) findCalibration() (err error) {
	cache := r.job.Cache()
	magCache := cache == "magcache"
	if !magCache && (cache != "teacache" || r.job.TeaCache.Of != "") {
		return nil
	}
	if r.by, err = r.p.calibration(); err != nil {
		return &inference.SettingError{Setting: cache, Mistake: inference.Unusable, Err: err}
	}
	known := func() bool { return r.by != nil }
	if known() {
		r.noticeSchedule()
	} else if magCache && r.p.variant.Name == plainName {
		published := denoise.Wan22(weights.HighNoise, weights.LowNoise)
		r.by = &published
	}
	enough := known()
	for name := range r.p.experts {
		if known() {
			c := r.by.Experts[name]
			enough = enough && (magCache && len(c.Ratios[denoise.Prompt]) > 0 || !magCache && len(c.Polynomial) > 0)
		}
	}
	if enough {
		return nil
	}
	return &inference.SettingError{Setting: cache, Mistake: inference.Unusable,
		Err: &inference.UncalibratedError{Checkpoint: r.p.source.Dir, Cache: map[bool]string{true: "MagCache", false: "TeaCache"}[magCache], Other: known()}}
}

// noticeSchedule says so if the calibration is of another schedule than the run's, but for the
// number of steps, which it is turned into.
func (r *run) noticeSchedule() {
	c, j := r.by, r.job
	var others []string
	for _, part := range []struct {
		name       string
		same       bool
		has, wants any
	}{
		{"solver", c.Solver == j.Solver, c.Solver, j.Solver},
		{"shift", c.Shift == j.Shift, c.Shift, j.Shift},
		{"boundary", c.Boundary == j.Boundary, c.Boundary, j.Boundary},
	} {
		if !part.same {
			others = append(others, fmt.Sprintf("%s %v instead of %v", part.name, part.has, part.wants))
		}
	}
	if len(others) > 0 {
		r.notice(inference.NoticeCache, "the checkpoint was calibrated with %s: what a cache leaves out may be less well chosen", strings.Join(others, ", "))
	}
}

// calibrationID tells calibrations apart; "" for none.
func (r *run) calibrationID() string {
	if r.by == nil {
		return ""
	}
	text, err := json.Marshal(r.by)
	if err != nil {
		return "" // it is numbers
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

// openCache makes the cache that the job asks for, which goes on from the run's state.
func (r *run) openCache() (err error) {
	if r.cache != nil {
		return nil
	}
	by := denoise.Calibration{} // as when planning, where it decides nothing
	if r.by != nil {
		by = *r.by
	}
	switch r.job.Cache() {
	case "easycache":
		r.cache, err = denoise.NewEasyCache(denoise.EasyCache(r.job.EasyCache), r.solver.Steps(), r.cached)
	case "magcache":
		c := r.job.MagCache
		r.cache, err = denoise.NewMagCache(denoise.MagCache{Threshold: c.Threshold, Most: c.Most, Retention: c.Retention, By: by}, r.cached)
	case "teacache":
		r.cache, err = denoise.NewTeaCache(teaCache(r.job.TeaCache, by, r.solver.Steps()), r.cached)
	}
	return err
}

// teaCache returns TeaCache by another model's polynomial or by the checkpoint's own.
func teaCache(c inference.TeaCache, by denoise.Calibration, steps int) denoise.TeaCache {
	t := denoise.TeaCache{Threshold: c.Threshold, Steps: steps, By: denoise.TeaCacheRow{First: 1}}
	if i := slices.IndexFunc(denoise.TeaCacheRows, func(row denoise.TeaCacheRow) bool { return row.Name == c.Of }); i >= 0 {
		t.By = denoise.TeaCacheRows[i]
		return t
	}
	t.Experts = map[string][]float64{}
	for name, curve := range by.Experts {
		t.Experts[name] = curve.Polynomial
	}
	return t
}

// residuals returns of how many prompts a session keeps what its blocks add.
func (r *run) residuals() (prompts int) {
	cache := r.job.Cache()
	if r.recorder() == nil && cache != "magcache" && cache != "teacache" {
		return 0
	}
	for _, t := range r.solver.Timesteps() {
		prompts = max(prompts, r.guidance.Passes(t))
	}
	return prompts
}
