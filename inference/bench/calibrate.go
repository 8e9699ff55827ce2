package bench

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"gimbal/inference"
	"gimbal/inference/denoise"
	"gimbal/inference/device"
	"gimbal/inference/engine"
)

// CalibrateRow is what a step told.
type CalibrateRow struct {
	Step     int     `json:"step"` // from 1
	Expert   string  `json:"expert"`
	Timestep float64 `json:"timestep"`
	// By how much the size of what the blocks add changed since the step before, under the prompt
	// and the negative prompt; 0 for an expert's first step.
	Ratio    float64 `json:"ratio"`
	Negative float64 `json:"ratio_negative"`
	Signal   float64 `json:"signal"` // relative change of the timestep's embedding
	Change   float64 `json:"change"` // and of the velocity
}

// CalibrateSettings are what Calibrate was asked for, and where the calibration is.
type CalibrateSettings struct {
	Steps  int     `json:"sample_steps"`
	Solver string  `json:"sample_solver"`
	Shift  float64 `json:"sample_shift"`
	Frames int     `json:"frames"`
	File   string  `json:"file"`
}

// Calibrate makes a video without a cache by o.Job's steps, and keeps what MagCache and TeaCache
// go by for the checkpoint. What was cut off goes on when it is asked for again.
func Calibrate(ctx context.Context, o Options) (*Report, error) {
	dev, err := o.Open()
	if err != nil {
		return nil, err
	}
	defer dev.Close()
	path, err := o.calibrating()
	if err != nil {
		return nil, err
	}
	f := &folder{path, o.Checkpoint}
	report := o.begin("calibrate", dev.Info())
	c, err := f.calibrate(ctx, o, dev)
	if errors.As(err, new(*inference.PausedError)) {
		return nil, fmt.Errorf("%w: the same command goes on with it", err)
	}
	if err != nil {
		return nil, err // what another call left stays
	}
	if err := f.remove(); err != nil {
		return nil, err
	}
	s := CalibrateSettings{Steps: o.Job.Steps, Solver: o.Job.Solver, Shift: o.Job.Shift, Frames: o.Job.Frames, File: c.Path}
	var rows []CalibrateRow
	for _, r := range c.Steps {
		rows = append(rows, CalibrateRow{
			Step: r.Step.Index + 1, Expert: r.Step.Expert, Timestep: r.Step.Timestep,
			Ratio: r.Ratios[denoise.Prompt], Negative: r.Ratios[denoise.Negative], Signal: r.Signal, Change: r.Change,
		})
	}
	report.Settings, report.Rows = s, rows
	report.Notes = append(report.Notes, "MagCache and TeaCache go by "+c.Path)
	if c.Aside != nil {
		report.Notes = append(report.Notes, fmt.Sprintf("the calibration does not lie beside the checkpoint: %v", c.Aside))
	}
	report.showCalibrate(s, rows)
	return report.end(), nil
}

// calibrating makes the folder in which the checkpoint's calibration is under way, always the same.
func (o Options) calibrating() (string, error) {
	root, err := o.Temp, error(nil)
	if root == "" {
		if root, err = os.UserCacheDir(); err != nil {
			return "", err
		}
		root = filepath.Join(root, "Gimbal")
	}
	checkpoint, err := filepath.Abs(o.Checkpoint)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(checkpoint))
	path := filepath.Join(root, "calibrating-"+hex.EncodeToString(sum[:8]))
	return path, os.MkdirAll(path, 0o755)
}

// calibrate calibrates the folder's checkpoint.
func (f *folder) calibrate(ctx context.Context, o Options, dev device.Device) (engine.Calibrated, error) {
	emit := func(e inference.Event) {
		if s, ok := e.(inference.Step); ok {
			o.Progress("calibrating, " + stepText(s))
		}
	}
	p, err := engine.Load(ctx, dev, f.checkpoint, inference.QuantNone, emit)
	if err != nil {
		return engine.Calibrated{}, err
	}
	defer p.Close()
	job := o.Job
	job.Output = filepath.Join(f.path, "calibration.mp4")
	switch {
	case !p.HasCamera():
		job.ActionPath = ""
	case job.ActionPath == "" && !p.ReadsKeys():
		job.ActionPath = f.cameraPath()
		if err := f.camera(job.Frames); err != nil {
			return engine.Calibrated{}, err
		}
	}
	return p.Calibrate(ctx, job, emit)
}

// calibrateFor calibrates the folder's checkpoint if one of the trials needs that and it is not,
// and reports whether it did.
func (f *folder) calibrateFor(ctx context.Context, o Options, dev device.Device, trials []Trial) (bool, error) {
	p, err := engine.Load(ctx, dev, f.checkpoint, inference.QuantNone, func(inference.Event) {})
	if err != nil {
		return false, err
	}
	needed := false
	for _, trial := range trials {
		job := o.Job
		if err := inference.FindSetting(trial.Cache).Set(&job, trial.Value); err != nil {
			return false, err
		}
		needed = needed || p.CheckCalibration(job) != nil
	}
	if err := p.Close(); err != nil || !needed {
		return false, err
	}
	_, err = f.calibrate(ctx, o, dev)
	return true, err
}

func (r *Report) showCalibrate(s CalibrateSettings, rows []CalibrateRow) {
	t := Table{
		Title:  fmt.Sprintf("calibration, %d steps of %s at shift %g, %d frames", s.Steps, s.Solver, s.Shift, s.Frames),
		Header: []string{"step", "expert", "timestep", "ratio", "of the negative prompt", "signal", "change"},
	}
	var labels []string
	var ratios, changes []float64
	for _, row := range rows {
		t.Rows = append(t.Rows, []string{fmt.Sprint(row.Step), row.Expert, fmt.Sprint(row.Timestep), fmt.Sprintf("%.5f", row.Ratio), fmt.Sprintf("%.5f", row.Negative), number(row.Signal), number(row.Change)})
		labels, ratios, changes = append(labels, fmt.Sprint(row.Step)), append(ratios, row.Ratio), append(changes, row.Change)
	}
	r.Tables = []Table{t}
	r.panels = []panel{bars("size of what the blocks add, of the step before's", labels, ratios), bars("change of the velocity", labels, changes)}
}
