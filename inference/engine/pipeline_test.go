package engine_test

import (
	"bytes"
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"gimbal/inference"
	"gimbal/inference/clip"
	"gimbal/inference/cpu"
	"gimbal/inference/device"
	"gimbal/inference/engine"
	"gimbal/inference/golden"
)

func openDevice(t *testing.T) device.Device {
	t.Helper()
	dev, err := cpu.Open(cpu.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dev.Close() })
	return dev
}

// load opens the checkpoint in dir; it is closed when the test ends.
func load(t *testing.T, dir string) *engine.Pipeline {
	t.Helper()
	p, err := engine.Load(t.Context(), openDevice(t), dir, inference.QuantNone, func(inference.Event) {})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// quick returns a job that takes a moment, to be written to a new folder.
func quick(t *testing.T) inference.Job {
	t.Helper()
	job := inference.DefaultJob()
	job.Image = filepath.Join(golden.Dir(t), "image.png")
	job.ActionPath = anyAction(t)
	job.Prompt = "the camera moves"
	path, err := clip.OpenPath(job.ActionPath)
	if err != nil {
		t.Fatal(err)
	}
	job.Frames, job.Steps, job.MaxArea = path.EffectiveFrames(9), 4, 48*32
	job.NoiseRNG = "cpu"
	job.Output = filepath.Join(t.TempDir(), "video.mp4")
	return job
}

// anyAction returns the action folder with the most poses.
func anyAction(t *testing.T) string {
	t.Helper()
	root := filepath.Join(golden.Dir(t), "actions")
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	best, size := "", int64(0)
	for _, e := range entries {
		info, err := os.Stat(filepath.Join(root, e.Name(), "poses.npy"))
		if err == nil && info.Size() > size {
			best, size = filepath.Join(root, e.Name()), info.Size()
		}
	}
	return best
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestEvents(t *testing.T) {
	p := load(t, golden.Checkpoint(t))
	job := quick(t)
	var kinds []string
	steps, frames := 0, 0
	saved, err := p.Generate(t.Context(), job, "", func(e inference.Event) {
		if s, ok := e.(inference.Step); ok {
			steps++
			if s.Index != steps || s.Total != job.Steps {
				t.Errorf("step %d of %d, want %d of %d", s.Index, s.Total, steps, job.Steps)
			}
			if len(s.Preview) != (job.Frames-1)/4+1 || s.Preview[0].Bounds().Empty() {
				t.Errorf("step %d: %d previews", s.Index, len(s.Preview))
			}
		}
		if f, ok := e.(inference.Frame); ok {
			frames++
			if f.Index != frames || f.Total != job.Frames || f.Picture == nil || f.Picture.Bounds().Empty() {
				t.Errorf("frame %d of %d with %v, want %d of %d with its picture", f.Index, f.Total, f.Picture, frames, job.Frames)
			}
			return
		}
		if kind := e.Kind(); kind != "notice" && (len(kinds) == 0 || kinds[len(kinds)-1] != kind) {
			kinds = append(kinds, kind)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"prepared", "text_encoded", "picture_encoded", "step", "decoding", "saved"}
	if !slices.Equal(kinds, want) {
		t.Errorf("events %v, want %v", kinds, want)
	}
	if frames != job.Frames {
		t.Errorf("%d frames, want %d", frames, job.Frames)
	}
	if steps != job.Steps {
		t.Errorf("%d steps, want %d", steps, job.Steps)
	}
	for _, file := range []string{saved.Video, saved.ContactSheet, saved.Sidecar} {
		if len(read(t, file)) == 0 {
			t.Errorf("%s is empty", file)
		}
	}
}

// TestResumeAtEveryStep interrupts a run after each step and in the decoding; the
// resumed run gives the same video, and does no step twice.
func TestResumeAtEveryStep(t *testing.T) {
	p := load(t, golden.Checkpoint(t))
	for _, solver := range []string{"unipc", "dpm++", "euler"} {
		job := quick(t)
		job.Solver = solver
		if _, err := p.Generate(t.Context(), job, "", func(inference.Event) {}); err != nil {
			t.Fatal(err)
		}
		want := read(t, job.Output)
		for stop := range job.Steps + 1 {
			job := job
			job.Output = filepath.Join(t.TempDir(), "video.mp4")
			run := interrupt(t, p, job, stop)
			first, total := 0, 0
			saved, err := p.Resume(t.Context(), run, func(e inference.Event) {
				if s, ok := e.(inference.Step); ok {
					if total++; total == 1 {
						first = s.Index
					}
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			if total != job.Steps-max(stop, 1) || (total > 0 && first != max(stop, 1)+1) {
				t.Errorf("%s, stopped after step %d: resumed with %d steps from step %d", solver, stop, total, first)
			}
			if !bytes.Equal(read(t, saved.Video), want) {
				t.Errorf("%s, stopped after step %d: the resumed video differs", solver, stop)
			}
		}
	}
}

// TestCacheResumes makes sure that a run that leaves steps out goes on leaving out the same.
func TestCacheResumes(t *testing.T) {
	p := load(t, golden.Checkpoint(t))
	job := quick(t)
	job.Steps, job.EasyCache = 12, inference.EasyCache{Threshold: 5, First: 2}
	left := 0
	_, err := p.Generate(t.Context(), job, "", func(e inference.Event) {
		if s, ok := e.(inference.Step); ok && s.Passes == 0 {
			left++
		}
	})
	if err != nil || left == 0 {
		t.Fatalf("%d steps left out, %v", left, err)
	}
	want := read(t, job.Output)
	for _, stop := range []int{1, 4, 6, 9, 11} {
		job := job
		job.Output = filepath.Join(t.TempDir(), "video.mp4")
		if _, err := p.Resume(t.Context(), interrupt(t, p, job, stop), func(inference.Event) {}); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(read(t, job.Output), want) {
			t.Errorf("stopped after step %d: the resumed video differs", stop)
		}
	}
}

// interrupt runs job until after step stop (at least one), or until decoding when
// stop is the number of steps, and returns the run's folder.
func interrupt(t *testing.T, p *engine.Pipeline, job inference.Job, stop int) (run string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := p.Generate(ctx, job, "", func(e inference.Event) {
		switch e := e.(type) {
		case inference.Prepared:
			run = e.RunDir
		case inference.Step:
			if e.Index >= stop && stop < job.Steps {
				cancel()
			}
		case inference.Decoding:
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("stopping after step %d: %v, want context.Canceled", stop, err)
	}
	if _, err := os.Stat(job.Output); err == nil {
		t.Fatal("an interrupted run left a video")
	}
	return run
}

func TestCancelLeavesNothingRunning(t *testing.T) {
	p := load(t, golden.Checkpoint(t))
	job := quick(t)
	job.Steps, job.MaxArea, job.Frames = 50, 128*128, 41
	before := runtime.NumGoroutine()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var cancelled time.Time
	late := 0 // steps
	_, err := p.Generate(ctx, job, "", func(e inference.Event) {
		if _, ok := e.(inference.Step); ok && ctx.Err() != nil {
			late++
		}
		if _, ok := e.(inference.TextEncoded); ok {
			time.AfterFunc(100*time.Millisecond, func() { cancelled = time.Now(); cancel() })
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("%v, want context.Canceled", err)
	}
	if took := time.Since(cancelled); took > 10*time.Second || late > 1 {
		t.Errorf("Generate returned %v and %d steps of %d after the cancel, want one at most", took, late, job.Steps)
	}
	for range 500 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("%d goroutines, %d before the run", runtime.NumGoroutine(), before)
}

func TestBadJobs(t *testing.T) {
	p := load(t, golden.Checkpoint(t))
	for _, c := range []struct {
		name   string
		change func(*inference.Job)
		want   []string
	}{
		{"no prompt", func(j *inference.Job) { j.Prompt = " \n" }, []string{"prompt"}},
		{"a prompt of nothing", func(j *inference.Job) { j.Prompt = " &nbsp;&amp;nbsp; " }, []string{"prompt"}},
		{"no picture", func(j *inference.Job) { j.Image = "" }, []string{"image"}},
		{"missing picture", func(j *inference.Job) { j.Image = "nowhere.png" }, []string{"nowhere.png"}},
		{"frames", func(j *inference.Job) { j.Frames = 10 }, []string{"frame_num", "10", "9 and 13"}},
		{"no frames", func(j *inference.Job) { j.Frames = -3 }, []string{"1 and 5"}},
		{"steps", func(j *inference.Job) { j.Steps = 0 }, []string{"sample_steps"}},
		{"solver", func(j *inference.Job) { j.Solver = "heun" }, []string{"sample_solver", "heun", "unipc"}},
		{"a cache and few steps", func(j *inference.Job) { j.EasyCache.Threshold, j.EasyCache.First = 0.1, 1 }, []string{"easycache", "few steps"}},
		{"a cache and few computed steps", func(j *inference.Job) { j.Steps, j.EasyCache.Threshold, j.EasyCache.First = 11, 0.1, 10 }, []string{"easycache", "more steps"}},
		{"MagCache and few steps", func(j *inference.Job) { j.MagCache = inference.MagCache{Threshold: 0.06, Most: 2} }, []string{"magcache", "few steps"}},
		{"TeaCache and Euler", func(j *inference.Job) { j.Steps, j.Solver, j.TeaCache.Threshold = 20, "euler", 0.2 }, []string{"teacache", "few steps"}},
		{"two caches", func(j *inference.Job) {
			j.Steps, j.EasyCache, j.TeaCache.Threshold = 20, inference.EasyCache{Threshold: 0.1, First: 5}, 0.2
		}, []string{"teacache: 0.2 beside easycache", "one cache"}},
		{"an interval", func(j *inference.Job) { j.GuidanceInterval = [2]float64{0.5, 0.4} }, []string{"guidance_interval", "the larger"}},
		{"shift", func(j *inference.Job) { j.Shift = -1 }, []string{"sample_shift"}},
		{"guidance", func(j *inference.Job) { j.Guidance.High = math.NaN() }, []string{"sample_guide_scale", "NaN"}},
		{"boundary", func(j *inference.Job) { j.Boundary = 2 }, []string{"boundary"}},
		{"action path", func(j *inference.Job) { j.ActionPath = t.TempDir() }, []string{"poses.npy"}},
		{"output folder", func(j *inference.Job) { j.Output = "/nowhere/at/all/v.mp4" }, []string{"/nowhere/at/all"}},
		{"several", func(j *inference.Job) { j.Frames, j.Prompt, j.Image = 2, "", "gone.png" }, []string{"frame_num", "prompt", "gone.png"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			job := quick(t)
			c.change(&job)
			_, err := p.Generate(t.Context(), job, "", func(e inference.Event) {
				t.Errorf("event %s before the error", e.Kind())
			})
			if err == nil {
				t.Fatal("no error")
			}
			for _, word := range c.want {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("error %q does not name %q", err, word)
				}
			}
		})
	}
}

// TestUnfinishedRunIsKept makes sure that a new run does not overwrite the state
// of an interrupted one.
func TestUnfinishedRunIsKept(t *testing.T) {
	p := load(t, golden.Checkpoint(t))
	job := quick(t)
	run := interrupt(t, p, job, 2)
	_, err := p.Generate(t.Context(), job, "", func(inference.Event) {})
	if err == nil || !strings.Contains(err.Error(), run) {
		t.Fatalf("%v, want an error that names %s", err, run)
	}
	if _, err := p.Resume(t.Context(), run, func(inference.Event) {}); err != nil {
		t.Error(err)
	}
}
