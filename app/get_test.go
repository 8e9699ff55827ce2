package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gimbal/inference/golden"
	"gimbal/inference/hub/hubtest"
)

// hubOf serves a folder as a hub does its repository.
func hubOf(t *testing.T, dir, repo string) *hubtest.Hub {
	t.Helper()
	files := hubtest.Repo{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		files[filepath.ToSlash(name)], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return hubtest.New(map[string]hubtest.Repo{repo: files}).Start(t)
}

// TestGet fetches a model, is killed on the way, and goes on.
func TestGet(t *testing.T) {
	const repo = "robbyant/lingbot-world-base-cam"
	server := hubOf(t, golden.Checkpoint(t), repo)
	server.Slow(800_000)
	t.Setenv("HF_ENDPOINT", server.URL)
	t.Setenv("HF_HOME", t.TempDir())
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	dir := filepath.Join(t.TempDir(), "model")

	cmd := exec.Command(program, "get", "--dir", dir, "lingbot-world-base-cam")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for {
		parts, _ := filepath.Glob(filepath.Join(dir, "*", "*.part"))
		if len(parts) > 0 {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	time.Sleep(200 * time.Millisecond)
	cmd.Process.Kill()
	cmd.Wait()
	if _, errs, code := gimbal(t, "inspect", dir); code != 1 {
		t.Errorf("what was half fetched: exit code %d\n%s", code, errs)
	}
	server.Slow(0)
	if out, errs, code := gimbal(t, "get", "--dir", dir, "lingbot-world-base-cam"); code != 0 || !strings.Contains(out, "complete") {
		t.Fatalf("exit code %d\n%s%s", code, out, errs)
	}
	if out, errs, code := gimbal(t, "inspect", "--full", dir); code != 0 || !strings.Contains(out, "every hash that is known is right") {
		t.Errorf("inspect --full: exit code %d\n%s%s", code, out, errs)
	}

	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"--list", repo}, 0, "low_noise_model/diffusion_pytorch_model"},
		{[]string{"nobody/nothing"}, 1, "HF_TOKEN"},
		{[]string{"lingbot-world-v2-14b-causal-fast"}, 2, "CC BY-NC-SA 4.0"},
		{[]string{"something"}, 2, "lingbot-world-base-cam"},
	} {
		out, errs, code := gimbal(t, append([]string{"get"}, c.args...)...)
		if code != c.code || !strings.Contains(out+errs, c.says) {
			t.Errorf("get %v: exit code %d, want %d and %q\n%s%s", c.args, code, c.code, c.says, out, errs)
		}
	}
}
