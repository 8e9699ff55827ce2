package main

import (
	"os/exec"
	"runtime"
	"strings"
	"testing"
)

func TestDevices(t *testing.T) {
	out, errs, code := gimbal(t, "devices")
	if code != 0 {
		t.Fatalf("exit code %d\n%s", code, errs)
	}
	want := []string{"metal\n", "cpu\n", "BLAS", "threads", "unified memory", "GiB", "F32"}
	if runtime.GOOS != "darwin" {
		want = append(want, "not available", "no Metal on "+runtime.GOOS)
	}
	for _, word := range want {
		if !strings.Contains(out, word) {
			t.Errorf("%q is not listed:\n%s", word, out)
		}
	}
}

// TestDeviceChoice gives what cannot be, before any long work.
func TestDeviceChoice(t *testing.T) {
	if runtime.GOOS == "darwin" {
		t.Skip("there may be a GPU")
	}
	args := []string{"generate", "--ckpt_dir", t.TempDir(), "--image", "a.png", "--prompt", "a walk", "--save_file", t.TempDir() + "/v.mp4"}
	for _, c := range []struct {
		args []string
		env  string
		code int
		want []string
	}{
		{[]string{"--device", "metal"}, "", 1, []string{"no Metal on"}},
		{[]string{"--device", "auto"}, "", 1, []string{"runs on the CPU", "no Metal on", "high_noise_model"}},
		{[]string{"--device", "cpu"}, "", 1, []string{"high_noise_model"}},
		{nil, "GIMBAL_DEVICE=tpu", 2, []string{"--device tpu", "auto, metal or cpu"}},
		{[]string{"--compute", "f64"}, "", 2, []string{"f64", "bf16"}},
		{[]string{"--metal_capture", "a.gputrace"}, "", 2, []string{"--metal_capture", "metal"}},
		{[]string{"--device", "auto", "--metal_capture", "a.gputrace"}, "", 1, []string{"no Metal on"}},
		{[]string{"--device", "metal"}, watermarkVariable + "=much", 2, []string{watermarkVariable, "much"}},
		{[]string{"--device", "metal"}, watermarkVariable + "=-1", 2, []string{watermarkVariable, "-1"}},
		{[]string{"--device", "metal"}, watermarkVariable + "=0", 1, []string{"no Metal on"}},
	} {
		cmd := exec.Command(program, append(args[:len(args):len(args)], c.args...)...)
		cmd.Env = append(cmd.Environ(), c.env)
		out, _ := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != c.code {
			t.Errorf("%v %s: exit code %d, want %d", c.args, c.env, code, c.code)
		}
		for _, word := range c.want {
			if !strings.Contains(string(out), word) {
				t.Errorf("%v %s: no %q in\n%s", c.args, c.env, word, out)
			}
		}
	}
}
