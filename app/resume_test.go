package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gimbal/inference/golden"
	"gimbal/inference/weights"
)

// TestResumeElsewhere goes on with a run from another folder, after its picture
// and its checkpoint were moved.
func TestResumeElsewhere(t *testing.T) {
	dir := t.TempDir()
	ckpt, image := filepath.Join(dir, "checkpoint"), filepath.Join(dir, "start.png")
	if err := os.CopyFS(ckpt, os.DirFS(golden.Checkpoint(t))); err != nil {
		t.Fatal(err)
	}
	picture, err := os.ReadFile(filepath.Join(golden.Dir(t), "image.png"))
	if err == nil {
		err = os.WriteFile(image, picture, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"generate", "--json", "--ckpt_dir", "checkpoint", "--image", "start.png", "--prompt", "a walk",
		"--frame_num", "5", "--sample_steps", "300", "--max_area", "1536"}
	whole := filepath.Join(dir, "whole.mp4")
	if out, errs, code := gimbal(t, append(args[:len(args):len(args)], "--ckpt_dir", ckpt, "--image", image, "--save_file", whole)...); code != 0 {
		t.Fatalf("exit code %d\n%s%s", code, out, errs)
	}

	cmd := exec.Command(program, append(args, "--save_file", "v.mp4")...)
	cmd.Dir = dir
	stopAt(t, cmd, `"event":"step"`, func() { cmd.Process.Signal(os.Interrupt) })
	if code := cmd.ProcessState.ExitCode(); code != exitInterrupted {
		t.Fatalf("exit code %d, want %d", code, exitInterrupted)
	}
	moved := filepath.Join(dir, "moved")
	if err := os.Rename(ckpt, moved); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(image); err != nil {
		t.Fatal(err)
	}
	run := filepath.Join(dir, "v.run")
	if _, errs, code := gimbal(t, "generate", "--resume", run); code != exitFailed || !strings.Contains(errs, ckpt) {
		t.Errorf("without the checkpoint: exit code %d\n%s", code, errs)
	}
	out, errs, code := gimbal(t, "generate", "--resume", run, "--ckpt_dir", moved, "--sample_steps", "7")
	if code != 0 || !strings.Contains(errs, "--sample_steps") {
		t.Fatalf("exit code %d, want 0 and a warning that --sample_steps is ignored\n%s%s", code, out, errs)
	}
	want, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, "v.mp4"))
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("the resumed video differs from the unbroken one (%v)", err)
	}
}

// TestBusy starts a run on the video of one that is under way, and tries to go on with
// that one: both are told who works on it, and nothing happens to it. Then its folder goes.
func TestBusy(t *testing.T) {
	dir := t.TempDir()
	args := []string{"generate", "--json", "--ckpt_dir", golden.Checkpoint(t), "--image", filepath.Join(golden.Dir(t), "image.png"), "--prompt", "a walk",
		"--frame_num", "5", "--sample_steps", "900", "--max_area", "1536", "--save_file", filepath.Join(dir, "v.mp4")}
	cmd := exec.Command(program, args...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	run := filepath.Join(dir, "v.run")
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	stopAt(t, cmd, `"event":"step"`, func() {
		for _, again := range [][]string{args, {"generate", "--resume", run}} {
			_, errs, code := gimbal(t, again...)
			for _, word := range []string{fmt.Sprintf("process %d on %s since %d-", cmd.Process.Pid, host, time.Now().Year()), run, "wait for it"} {
				if !strings.Contains(errs, word) {
					t.Errorf("%v does not name %q:\n%s", again, word, errs)
				}
			}
			if code != exitFailed || strings.Contains(errs, "delete") || strings.Contains(errs, "is kept") {
				t.Errorf("%v: exit code %d\n%s", again, code, errs)
			}
		}
		if out, errs, code := gimbal(t, "inspect", run); code != 0 || !strings.Contains(out, "a run that is under way") {
			t.Errorf("inspect: exit code %d\n%s%s", code, out, errs)
		}
		if _, err := os.Stat(filepath.Join(run, "state.safetensors")); err != nil {
			t.Error(err)
		}
		for os.RemoveAll(run) != nil { // it writes there
		}
	})
	if code := cmd.ProcessState.ExitCode(); code != exitFailed || strings.Contains(errs.String(), "is kept in") || !strings.Contains(errs.String(), run+" is gone") {
		t.Errorf("without its folder: exit code %d\n%s", code, errs.String())
	}
}

// stopAt starts cmd, calls stop at the first line of its output that holds text,
// and waits for its end.
func stopAt(t *testing.T, cmd *exec.Cmd, text string, stop func()) {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for s := bufio.NewScanner(out); s.Scan() && !strings.Contains(s.Text(), text); {
	}
	stop()
	io.Copy(io.Discard, out)
	cmd.Wait() // its exit code is what counts
}

// TestReaderGone makes sure that a run outlives the reader of its output.
func TestReaderGone(t *testing.T) {
	video := filepath.Join(t.TempDir(), "v.mp4")
	cmd := exec.Command(program, "generate", "--json", "--ckpt_dir", golden.Checkpoint(t), "--image", filepath.Join(golden.Dir(t), "image.png"),
		"--prompt", "a walk", "--frame_num", "5", "--sample_steps", "2", "--max_area", "1536", "--save_file", video)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(video); err != nil {
		t.Error(err)
	}
}

// TestDamagedCheckpoint damages a file of the checkpoint in each of many ways:
// the program names it and ends, before any event but those of loading.
func TestDamagedCheckpoint(t *testing.T) {
	for _, c := range []struct {
		name   string
		damage func(t *testing.T, dir string) (culprit string)
	}{
		{"truncated weights", func(t *testing.T, dir string) string { return truncate(t, weightsFile(t, dir)) }},
		{"no weights", func(t *testing.T, dir string) string {
			file := weightsFile(t, dir)
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
			return filepath.Base(filepath.Dir(file))
		}},
		{"other sizes", func(t *testing.T, dir string) string {
			edit(t, filepath.Join(filepath.Dir(weightsFile(t, dir)), "config.json"), `"num_layers": `, `"num_layers": 1`)
			return "blocks."
		}},
		{"other width", func(t *testing.T, dir string) string {
			edit(t, filepath.Join(filepath.Dir(weightsFile(t, dir)), "config.json"), `"ffn_dim": `, `"ffn_dim": 1`)
			return "ffn.0.weight"
		}},
		{"renamed tensor", func(t *testing.T, dir string) string {
			edit(t, weightsFile(t, dir), "head.head.bias", "head.head.bits")
			return "head.head.bias"
		}},
		{"mistyped tensor", func(t *testing.T, dir string) string {
			edit(t, weightsFile(t, dir), `"dtype":"BF16"`, `"dtype":"BOOL"`)
			return "BOOL"
		}},
		{"truncated VAE", func(t *testing.T, dir string) string { return truncate(t, filepath.Join(dir, "Wan2.1_VAE.pth")) }},
		{"empty tokenizer", func(t *testing.T, dir string) string {
			file := filepath.Join(dir, "google", "umt5-xxl", "tokenizer.json")
			if err := os.WriteFile(file, nil, 0o644); err != nil {
				t.Fatal(err)
			}
			return file
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(golden.Checkpoint(t))); err != nil {
				t.Fatal(err)
			}
			culprit := c.damage(t, dir)
			out := filepath.Join(t.TempDir(), "v.mp4")
			for _, args := range [][]string{
				{"inspect", dir},
				{"generate", "--ckpt_dir", dir, "--image", filepath.Join(golden.Dir(t), "image.png"), "--prompt", "a walk", "--save_file", out},
			} {
				stdout, errs, code := gimbal(t, args...)
				if code != exitFailed || !strings.Contains(errs, culprit) || strings.Contains(errs, "goroutine") {
					t.Errorf("%s: exit code %d, want %d and a message that names %s\n%s%s", args[0], code, exitFailed, culprit, stdout, errs)
				}
			}
			if left, _ := os.ReadDir(filepath.Dir(out)); len(left) > 0 {
				t.Errorf("left %v", left)
			}
		})
	}
}

// weightsFile returns a file of an expert's weights.
func weightsFile(t *testing.T, dir string) string {
	t.Helper()
	for _, expert := range []string{weights.HighNoise, weights.LowNoise} {
		if files, _ := filepath.Glob(filepath.Join(dir, expert, "*.safetensors")); len(files) > 0 {
			return files[0]
		}
	}
	t.Fatal("no expert")
	return ""
}

func truncate(t *testing.T, file string) string {
	t.Helper()
	info, err := os.Stat(file)
	if err == nil {
		err = os.Truncate(file, info.Size()/2)
	}
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// edit replaces text in a file once.
func edit(t *testing.T, file, old, new string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err == nil && !bytes.Contains(data, []byte(old)) {
		t.Fatalf("%s does not hold %q", file, old)
	}
	if err == nil {
		err = os.WriteFile(file, bytes.Replace(data, []byte(old), []byte(new), 1), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}
