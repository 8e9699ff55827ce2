package engine_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"gimbal/inference"
	"gimbal/inference/denoise"
	"gimbal/inference/engine"
	"gimbal/inference/golden"
	"gimbal/inference/weights"
)

// calibrate calibrates a copy of the reference checkpoint.
func calibrate(t *testing.T, p *engine.Pipeline, steps int) engine.Calibrated {
	t.Helper()
	job := quick(t)
	job.Steps = steps
	c, err := p.Calibrate(t.Context(), job, func(inference.Event) {})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestCalibrationResumes interrupts a calibration: called again, it goes on and takes down the same.
// By another job it begins anew.
func TestCalibrationResumes(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	p := load(t, checkpointCopy(t))
	job := quick(t)
	job.Steps = 12
	do := func(job inference.Job, stop int) (c engine.Calibrated, steps int, err error) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		c, err = p.Calibrate(ctx, job, func(e inference.Event) {
			if _, ok := e.(inference.Step); ok {
				if steps++; steps == stop {
					cancel()
				}
			}
		})
		return c, steps, err
	}
	want, _, err := do(job, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, stop := range []int{1, 5, 6, 7, 11} {
		job.Output = filepath.Join(t.TempDir(), "video.mp4")
		if _, _, err := do(job, stop); !errors.As(err, new(*inference.PausedError)) {
			t.Fatalf("stopped after step %d: %v", stop, err)
		}
		got, steps, err := do(job, 0)
		if err != nil || steps != 12-stop || !reflect.DeepEqual(got.Steps, want.Steps) || !reflect.DeepEqual(got.Experts, want.Experts) {
			t.Errorf("stopped after step %d: %d more steps, %v\n%+v\nwant\n%+v", stop, steps, err, got.Steps, want.Steps)
		}
	}
	job.Output = filepath.Join(t.TempDir(), "video.mp4")
	if _, _, err := do(job, 3); !errors.As(err, new(*inference.PausedError)) {
		t.Fatal(err)
	}
	job.Steps = 9
	if got, steps, err := do(job, 0); err != nil || steps != 9 || got.Calibration.Steps != 9 {
		t.Errorf("a calibration by another job takes %d steps, %v", steps, err)
	}
}

// TestResidualCachesResume makes sure that runs which leave blocks out go on leaving out the
// same, though the checkpoint is calibrated anew meanwhile.
func TestResidualCachesResume(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	p := load(t, checkpointCopy(t))
	c := calibrate(t, p, 12)
	first := read(t, c.Path)
	for name, change := range map[string]func(*inference.Job){
		"MagCache":  func(j *inference.Job) { j.MagCache = inference.MagCache{Threshold: 5, Most: 3, Retention: 0.1} },
		"TeaCache":  func(j *inference.Job) { j.TeaCache = inference.TeaCache{Threshold: 5} },
		"another's": func(j *inference.Job) { j.TeaCache = inference.TeaCache{Threshold: 90, Of: "wan2.1-720p"} },
		"without a pair": func(j *inference.Job) {
			j.MagCache = inference.MagCache{Threshold: 5, Most: 3}
			j.Guidance = inference.Guidance{Low: 1, High: 1}
		},
	} {
		if err := os.WriteFile(c.Path, first, 0o644); err != nil {
			t.Fatal(err)
		}
		job := quick(t)
		job.Steps = 12
		change(&job)
		left := 0
		_, err := p.Generate(t.Context(), job, "", func(e inference.Event) {
			if s, ok := e.(inference.Step); ok && s.Passes == 0 {
				left++
			}
		})
		if err != nil || left == 0 {
			t.Fatalf("%s: %d steps left out, %v", name, left, err)
		}
		want := read(t, job.Output)
		for _, stop := range []int{1, 4, 6, 9, 11} {
			job := job
			job.Output = filepath.Join(t.TempDir(), "video.mp4")
			run := interrupt(t, p, job, stop)
			if err := os.Remove(c.Path); err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
			if _, err := p.Resume(t.Context(), run, func(inference.Event) {}); err != nil {
				t.Fatal(name, err)
			}
			if !bytes.Equal(read(t, job.Output), want) {
				t.Errorf("%s, stopped after step %d: the resumed video differs", name, stop)
			}
			if err := os.WriteFile(c.Path, first, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		var told struct{ Checkpoint struct{ Calibration string } }
		err = json.Unmarshal(read(t, strings.TrimSuffix(job.Output, ".mp4")+".json"), &told)
		if err != nil || (told.Checkpoint.Calibration == "") != (name == "another's") {
			t.Errorf("%s: the settings beside the video name calibration %q, %v", name, told.Checkpoint.Calibration, err)
		}
	}
}

// TestCalibrate keeps what a run told beside the checkpoint, as no part of it, and replaces
// nothing that is not its own.
func TestCalibrate(t *testing.T) {
	config := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", config)
	dir := checkpointCopy(t)
	p := load(t, dir)
	before, err := engine.Fingerprint(dir)
	if err != nil {
		t.Fatal(err)
	}
	c := calibrate(t, p, 12)
	if filepath.Dir(c.Path) != dir || c.Aside != nil || len(c.Steps) != 12 {
		t.Errorf("%d steps in %s, %v", len(c.Steps), c.Path, c.Aside)
	}
	if after, err := engine.Fingerprint(dir); err != nil || after != before {
		t.Errorf("the checkpoint is another one now, %v", err)
	}
	load(t, dir) // the file is in nobody's way
	var steps int
	for name, curve := range c.Experts {
		if n := len(curve.Ratios[0]); n != len(curve.Ratios[1]) || len(curve.Polynomial) != min(5, n-1) {
			t.Errorf("%s: %+v", name, curve)
		}
		steps += len(curve.Ratios[0])
	}
	if steps != 12 || len(c.Experts) != 2 {
		t.Errorf("%d steps of %d experts", steps, len(c.Experts))
	}
	if kind, text, err := engine.Identify(c.Path); err != nil || !strings.Contains(text, "calibration") {
		t.Errorf("identified as %v %q, %v", kind, text, err)
	}
	again := calibrate(t, p, 9)
	if again.Path != c.Path || bytes.Equal(read(t, c.Path), nil) || again.Steps[0].Step.Of == c.Steps[0].Step.Of && len(again.Steps) != 9 {
		t.Errorf("calibrated again in %s", again.Path)
	}
	// A stranger's file of the same name stays, and the calibration goes elsewhere.
	if err := os.WriteFile(c.Path, []byte(`{"mine": true}`), 0o644); err != nil {
		t.Fatal(err)
	}
	aside := calibrate(t, p, 9)
	if filepath.Dir(aside.Path) != filepath.Join(config, "Gimbal", "calibrations") || aside.Aside == nil || !strings.Contains(aside.Aside.Error(), c.Path) {
		t.Errorf("in %s, %v", aside.Path, aside.Aside)
	}
	if string(read(t, c.Path)) != `{"mine": true}` {
		t.Error("a stranger's file is overwritten")
	}
	job := quick(t)
	job.Steps, job.MagCache = 12, inference.MagCache{Threshold: 0.06, Most: 2}
	if _, err := p.Generate(t.Context(), job, "", func(inference.Event) {}); err == nil || !strings.Contains(err.Error(), c.Path) {
		t.Errorf("with a stranger's file for a calibration: %v", err)
	}
	if err := os.Remove(c.Path); err != nil {
		t.Fatal(err)
	}
	job.Shift++
	told := ""
	_, err = p.Generate(t.Context(), job, "", func(e inference.Event) {
		if n, ok := e.(inference.Notice); ok && n.About == inference.NoticeCache {
			told = n.Text
		}
	})
	if err != nil || !strings.Contains(told, "shift") {
		t.Errorf("with the calibration of another schedule: %q, %v", told, err)
	}
	if err := os.WriteFile(aside.Path, bytes.Replace(read(t, aside.Path), []byte(`[[1,`), []byte(`[[-1,`), 1), 0o644); err != nil {
		t.Fatal(err)
	}
	job.Output = filepath.Join(t.TempDir(), "video.mp4")
	var wrong *weights.Error
	if _, err := p.Generate(t.Context(), job, "", func(inference.Event) {}); !errors.As(err, &wrong) || wrong.Path != aside.Path {
		t.Errorf("with a negative ratio: %v", err)
	}
}

// TestUncalibrated says what is missing before a run begins.
func TestUncalibrated(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	p := load(t, golden.Checkpoint(t))
	for name, change := range map[string]func(*inference.Job){
		"magcache": func(j *inference.Job) { j.MagCache = inference.MagCache{Threshold: 0.06, Most: 2, Retention: 0.1} },
		"teacache": func(j *inference.Job) { j.TeaCache = inference.TeaCache{Threshold: 0.2} },
	} {
		job := quick(t)
		job.Steps = 12
		change(&job)
		_, err := p.Generate(t.Context(), job, "", func(e inference.Event) { t.Errorf("event %s before the error", e.Kind()) })
		var missing *inference.UncalibratedError
		all := inference.SettingErrors(err)
		if !errors.As(err, &missing) || missing.Checkpoint != golden.Checkpoint(t) || len(all) != 1 || all[0].Setting != name {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := p.Plan(t.Context(), job); err != nil {
			t.Errorf("%s: a plan needs no calibration: %v", name, err)
		}
	}
}

// TestTeaCacheNames makes sure that every polynomial has a name that the setting takes.
func TestTeaCacheNames(t *testing.T) {
	for _, row := range denoise.TeaCacheRows {
		var job inference.Job
		if err := inference.FindSetting("teacache").Set(&job, "0.2,"+row.Name); err != nil || job.TeaCache.Of != row.Name {
			t.Errorf("%q, %v", job.TeaCache.Of, err)
		}
	}
}
