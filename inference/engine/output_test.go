package engine_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gimbal/inference"
	"gimbal/inference/engine"
	"gimbal/inference/golden"
)

// TestBadOutputs makes sure that a job which cannot be written, or would replace
// what it must not, ends before any work and changes no file.
func TestBadOutputs(t *testing.T) {
	p := load(t, golden.Checkpoint(t))
	for _, c := range []struct {
		name   string
		change func(t *testing.T, dir string, j *inference.Job)
		want   []string
	}{
		{"no name", func(t *testing.T, dir string, j *inference.Job) { j.Output = "" }, []string{"save_file", "none given"}},
		{"no extension", func(t *testing.T, dir string, j *inference.Job) { j.Output = dir }, []string{"save_file", ".mp4"}},
		{"only an extension", func(t *testing.T, dir string, j *inference.Job) { j.Output = filepath.Join(dir, ".mp4") }, []string{"save_file", ".mp4"}},
		{"long name", func(t *testing.T, dir string, j *inference.Job) {
			j.Output = filepath.Join(dir, strings.Repeat("x", 250)+".mp4")
		}, []string{"save_file", "254 bytes"}},
		{"a folder", func(t *testing.T, dir string, j *inference.Job) { mkdir(t, j.Output) }, []string{"save_file", "video.mp4", "folder"}},
		{"a folder for the sheet", func(t *testing.T, dir string, j *inference.Job) { mkdir(t, filepath.Join(dir, "video.png")) },
			[]string{"save_file", "video.png", "folder"}},
		{"the picture", func(t *testing.T, dir string, j *inference.Job) {
			j.Image = copyOf(t, j.Image, filepath.Join(dir, "video.png"))
		}, []string{"save_file", "video.png", "picture"}},
		{"the dump over the picture", func(t *testing.T, dir string, j *inference.Job) {
			j.Image = copyOf(t, j.Image, filepath.Join(dir, "start"))
			j.DumpFile = j.Image
		}, []string{"dump_tensors", "picture"}},
		{"the dump over the video", func(t *testing.T, dir string, j *inference.Job) { j.DumpFile = j.Output }, []string{"dump_tensors", "video.mp4"}},
		{"the dump a folder", func(t *testing.T, dir string, j *inference.Job) { j.DumpFile = dir }, []string{"dump_tensors", "folder"}},
		{"the dump nowhere", func(t *testing.T, dir string, j *inference.Job) { j.DumpFile = "/nowhere/x.safetensors" }, []string{"/nowhere"}},
		{"frames in the run's folder", func(t *testing.T, dir string, j *inference.Job) { j.FramesDir = filepath.Join(dir, "video.run") },
			[]string{"save_frames", "video.run"}},
		{"frames in a file", func(t *testing.T, dir string, j *inference.Job) { j.FramesDir = j.Image }, []string{"is a file"}},
		{"frames over others", func(t *testing.T, dir string, j *inference.Job) {
			j.FramesDir = filepath.Join(dir, "frames")
			mkdir(t, j.FramesDir)
			copyOf(t, j.Image, filepath.Join(j.FramesDir, "frame_00009.png"))
		}, []string{"frames", "frame_00009.png"}},
		{"something else for the run", func(t *testing.T, dir string, j *inference.Job) {
			mkdir(t, filepath.Join(dir, "video.run", "letters"))
		}, []string{"video.run", "something else"}},
		{"a file for the run", func(t *testing.T, dir string, j *inference.Job) {
			copyOf(t, j.Image, filepath.Join(dir, "video.run"))
		}, []string{"video.run", "is a file"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			job := quick(t)
			dir := filepath.Dir(job.Output)
			c.change(t, dir, &job)
			before := listing(t, dir)
			_, err := p.Generate(t.Context(), job, "", func(e inference.Event) { t.Errorf("event %s before the error", e.Kind()) })
			if err == nil {
				t.Fatal("no error")
			}
			for _, word := range c.want {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("error %q does not name %q", err, word)
				}
			}
			if after := listing(t, dir); after != before {
				t.Errorf("files\n%s\nbefore\n%s", after, before)
			}
		})
	}
}

func mkdir(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
}

func copyOf(t *testing.T, from, to string) string {
	t.Helper()
	if err := os.WriteFile(to, read(t, from), 0o644); err != nil {
		t.Fatal(err)
	}
	return to
}

// listing names the files below dir, with their sizes.
func listing(t *testing.T, dir string) string {
	t.Helper()
	var lines []string
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() {
			lines = append(lines, info.Mode().String()+" "+path+" "+info.ModTime().String())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}

// TestResumeFrames interrupts the decoding of a run that saves its frames: the
// resumed run writes them again.
func TestResumeFrames(t *testing.T) {
	p := load(t, golden.Checkpoint(t))
	job := quick(t)
	job.FramesDir = filepath.Join(filepath.Dir(job.Output), "new", "frames")
	run := interrupt(t, p, job, job.Steps)
	if left, _ := filepath.Glob(filepath.Join(job.FramesDir, "*.png")); len(left) == 0 {
		t.Fatal("no frame was written before the interrupt")
	}
	if _, err := p.Resume(t.Context(), run, func(inference.Event) {}); err != nil {
		t.Fatal(err)
	}
	if frames, _ := filepath.Glob(filepath.Join(job.FramesDir, "frame_*.png")); len(frames) != job.Frames {
		t.Errorf("%d frames, want %d", len(frames), job.Frames)
	}
}

// TestDamagedExpert makes sure that an expert which cannot be loaded is an error
// and no more.
func TestDamagedExpert(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(golden.Checkpoint(t))); err != nil {
		t.Fatal(err)
	}
	configs, err := filepath.Glob(filepath.Join(dir, "*_noise_model", "config.json"))
	if err != nil || len(configs) == 0 {
		t.Fatal(configs, err)
	}
	for _, config := range configs {
		text := strings.Replace(string(read(t, config)), `"ffn_dim": `, `"ffn_dim": 7`, 1)
		if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	_, err = engine.Load(t.Context(), openDevice(t), dir, inference.QuantNone, func(inference.Event) {})
	if err == nil || !strings.Contains(err.Error(), "ffn") {
		t.Errorf("error %v, want one that names the feed-forward's tensors", err)
	}
}

// TestDecodingProgress makes sure that the frames that are said to be done grow, with tiles
// and without, and end at all of them.
func TestDecodingProgress(t *testing.T) {
	p := load(t, golden.Checkpoint(t))
	for _, tile := range []int{0, inference.MinTile} {
		job := quick(t)
		job.Steps, job.MaxArea, job.VAETile = 1, 96*96, tile
		last, total := 0, 0
		_, err := p.Generate(t.Context(), job, "", func(e inference.Event) {
			if d, ok := e.(inference.Decoding); ok {
				if d.Frames <= last {
					t.Errorf("tiles of %d: %d frames after %d", tile, d.Frames, last)
				}
				last, total = d.Frames, d.Total
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if last == 0 || last != total {
			t.Errorf("tiles of %d: the progress ends at %d of %d frames", tile, last, total)
		}
	}
}

// TestPictureIsDecodedOnce makes sure that a plan reads no more of the picture than its
// size, and that a damaged one ends a run before it leaves anything.
func TestPictureIsDecodedOnce(t *testing.T) {
	p := load(t, golden.Checkpoint(t))
	job := quick(t)
	dir := filepath.Dir(job.Output)
	data := read(t, job.Image)
	job.Image = filepath.Join(dir, "cut.png")
	if err := os.WriteFile(job.Image, data[:len(data)/2], 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Plan(t.Context(), job); err != nil {
		t.Errorf("a plan decodes the picture: %v", err)
	}
	before := listing(t, dir)
	_, err := p.Generate(t.Context(), job, "", func(e inference.Event) { t.Errorf("event %s before the error", e.Kind()) })
	var wrong *inference.SettingError
	if !errors.As(err, &wrong) || wrong.Setting != "image" {
		t.Errorf("error %v, want one of the picture", err)
	}
	if after := listing(t, dir); after != before {
		t.Errorf("files\n%s\nbefore\n%s", after, before)
	}
}

// TestInputsAreKeptOnce makes sure that a run shares the copies of its inputs that somebody
// else keeps.
func TestInputsAreKeptOnce(t *testing.T) {
	p := load(t, golden.Checkpoint(t))
	job := quick(t)
	kept := t.TempDir()
	if err := engine.KeepInputs(kept, job); err != nil {
		t.Fatal(err)
	}
	_, err := p.Generate(t.Context(), job, kept, func(e inference.Event) {
		if e, ok := e.(inference.Prepared); ok {
			for _, name := range []string{"picture", filepath.Join("camera", "poses.npy"), filepath.Join("camera", "intrinsics.npy")} {
				a, err1 := os.Stat(filepath.Join(kept, name))
				b, err2 := os.Stat(filepath.Join(e.RunDir, name))
				if err1 != nil || err2 != nil || !os.SameFile(a, b) {
					t.Errorf("%s is there twice: %v, %v", name, err1, err2)
				}
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}
