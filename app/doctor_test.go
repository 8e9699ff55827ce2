//go:build !darwin

package main

import (
	"archive/zip"
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// emulatedProgram is the program with the software driver in the place of a Mac's GPU.
var emulatedProgram = sync.OnceValues(func() (string, error) {
	tags := "emulated"
	if len(buildFlags) > 0 {
		tags += "," + buildFlags[len(buildFlags)-1]
	}
	path := program + "-emulated"
	out, err := exec.Command("go", "build", "-ldflags=-w", "-tags", tags, "-o", path, ".").CombinedOutput()
	if err != nil {
		os.Stderr.Write(out)
	}
	return path, err
})

// doctorRun is one of a program's examinations, in a folder of its own.
type doctorRun struct {
	*exec.Cmd
	out bytes.Buffer
	dir string
}

// examination prepares one by a user called jane.doe.
func examination(t *testing.T, program, fault string, args ...string) *doctorRun {
	t.Helper()
	home := filepath.Join(t.TempDir(), "jane.doe")
	if err := os.Mkdir(home, 0o755); err != nil {
		t.Fatal(err)
	}
	r := &doctorRun{dir: filepath.Join(home, "found")}
	r.Cmd = exec.Command(program, append([]string{"doctor", "--out", r.dir}, args...)...)
	r.Env = append(os.Environ(), "HOME="+home, "XDG_CACHE_HOME="+filepath.Join(home, "cache"), "GIMBAL_FAULT="+fault, "GIMBAL_DEVICE=", "DISPLAY=", "WAYLAND_DISPLAY=")
	r.Stdout, r.Stderr = &r.out, &r.out
	return r
}

// bundle is all text of the examination's zip file.
func (r *doctorRun) bundle(t *testing.T) string {
	t.Helper()
	z, err := zip.OpenReader(r.dir + ".zip")
	if err != nil {
		t.Fatalf("%v\n%s", err, r.out.String())
	}
	defer z.Close()
	var all strings.Builder
	for _, f := range z.File {
		text, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(&all, text); err != nil {
			t.Fatal(err)
		}
		text.Close()
	}
	return all.String()
}

// TestDoctor examines this machine, as far as that is quick, and finds nothing wrong; what it packs
// does not tell who the user is.
func TestDoctor(t *testing.T) {
	r := examination(t, program, "", "--parts", "system,validation,kernels,gpu,reference,speed,demo,window")
	if err := r.Run(); err != nil {
		t.Fatalf("%v\n%s", err, r.out.String())
	}
	all := r.bundle(t)
	for _, want := range []string{
		"system       ok", "validation   skipped", "kernels      skipped", "gpu          skipped", "there is no Metal on",
		"reference    ok       5 tensors on cpu", "demo         skipped", "speed        ok       of the peak: linear", "window       skipped", "BLAS", "latent is off by",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("no %q in the bundle:\n%s", want, all)
		}
	}
	if strings.Contains(all, "jane") {
		t.Errorf("the user's name is in the bundle:\n%s", all)
	}
	if !strings.Contains(r.out.String(), r.dir+".zip") {
		t.Errorf("the bundle is not named:\n%s", r.out.String())
	}
}

// TestDoctorEmulated examines a GPU in which nothing is wrong.
func TestDoctorEmulated(t *testing.T) {
	t.Parallel()
	program, err := emulatedProgram()
	if err != nil {
		t.Fatal(err)
	}
	const parts = "system,kernels,reference,demo"
	r := examination(t, program, "", "--parts", parts)
	if err := r.Run(); err != nil {
		t.Fatalf("%v\n%s", err, r.out.String())
	}
	for _, part := range strings.Split(parts, ",") {
		if !strings.Contains(r.out.String(), "\n"+part+strings.Repeat(" ", 12-len(part))+" ok ") && !strings.HasPrefix(r.out.String(), part) {
			t.Errorf("%s is not all right:\n%s", part, r.out.String())
		}
	}
}

// TestDoctorFaults plants what can go wrong on a Mac: each fault ends in the right sentence, and the
// parts after it are looked at.
func TestDoctorFaults(t *testing.T) {
	t.Parallel()
	program, err := emulatedProgram()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		fault, parts string
		want         []string
	}{
		{"nil", "system,kernels,cpu", []string{"system       FAILED", "kernels      FAILED", "the system has no Metal GPU", "cpu          ok"}},
		{"wrong:attention_bf16_128x32x8", "kernels,reference", []string{"kernels      FAILED", "Attention 128x32x8 in BF16 differs from the CPU by", "reference    ok"}},
		{"wrong:norm", "kernels,gpu,reference", []string{"Norm in BF16 differs", "gpu          FAILED", "Norm/", "reference    FAILED", "latent is off"}},
		{"refused:linear_bf16_64x32", "kernels,demo", []string{"kernels      FAILED", "Linear 64x32x32x4 in BF16", "does not compile: planted"}},
		{"killed", "kernels,cpu", []string{"kernels      FAILED", "kept the screen waiting", "let the display sleep", "cpu          ok"}},
		{"memory", "kernels,cpu", []string{"kernels      FAILED", "out of device memory", "cpu          ok"}},
		{"abort", "kernels,cpu", []string{"kernels      STOPPED  the process ended by itself: exit status 134, at: open the GPU in BF16", "failed assertion (planted)", "cpu          ok"}},
		{"hang", "kernels", []string{"kernels      STOPPED  no answer within 1s", "at: open the GPU in BF16"}},
	} {
		t.Run(c.fault, func(t *testing.T) {
			t.Parallel()
			args := []string{"--parts", c.parts}
			if c.fault == "hang" {
				args = append(args, "--limit", "1s")
			}
			r := examination(t, program, c.fault, args...)
			r.Run()
			if code := r.ProcessState.ExitCode(); code != exitFailed {
				t.Errorf("exit code %d, want %d", code, exitFailed)
			}
			all := r.out.String() + r.bundle(t)
			for _, want := range c.want {
				if !strings.Contains(all, want) {
					t.Errorf("no %q:\n%s", want, all)
				}
			}
		})
	}
}

// TestDoctorKilled goes on after an examination that was killed with all that it had started.
func TestDoctorKilled(t *testing.T) {
	t.Parallel()
	program, err := emulatedProgram()
	if err != nil {
		t.Fatal(err)
	}
	first := examination(t, program, "hang", "--parts", "kernels,cpu")
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(first.dir, "kernels.txt")
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		if text, _ := os.ReadFile(log); strings.Contains(string(text), "open the GPU") {
			break
		}
		if time.Since(began) > time.Minute {
			t.Fatal("it does not begin")
		}
	}
	first.Process.Kill()
	first.Wait()
	again := exec.Command(program, "doctor", "--out", first.dir, "--parts", "kernels,cpu")
	again.Env = first.Env
	out, err := again.CombinedOutput()
	if err == nil {
		t.Errorf("nothing is wrong:\n%s", out)
	}
	for _, want := range []string{"Going on with the examination", "kernels      STOPPED  the program or the machine stopped during this part, the last time, at: open the GPU in BF16", "cpu          ok"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q:\n%s", want, out)
		}
	}
}

// TestDoctorUsage gives what cannot be.
func TestDoctorUsage(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--parts", "heart"}, "want some of system,"},
		{[]string{"--limit", "-1s"}, "0 or more"},
		{[]string{"more"}, "is too much"},
	} {
		if _, errs, code := gimbal(t, append([]string{"doctor"}, c.args...)...); code != exitUsage || !strings.Contains(errs, c.want) {
			t.Errorf("%v: exit code %d, want %d and %q:\n%s", c.args, code, exitUsage, c.want, errs)
		}
	}
}
