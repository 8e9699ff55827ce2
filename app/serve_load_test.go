package main

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// measuring skips tests that measure rather than check, but where they are asked for.
func measuring(t *testing.T) {
	t.Helper()
	if os.Getenv("GIMBAL_SERVICE_MEASURE") == "" {
		t.Skip("GIMBAL_SERVICE_MEASURE is not set")
	}
}

func median[T cmp.Ordered](all []T) T {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}

// resident returns the resident memory of a process in kB.
func (p *process) resident(t *testing.T) (kB int) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	if _, rest, ok := strings.Cut(string(text), "VmRSS:"); ok {
		fmt.Sscan(rest, &kB)
	}
	return kB
}

// answers returns how long requests of the usual kinds take, for a while.
func answers(t *testing.T, url, id string, d time.Duration) (all []float64) {
	t.Helper()
	paths := []string{"/v1/videos/" + id, "/v1/videos", "/v1/models", "/v1/capabilities", "/healthz"}
	for end, i := time.Now().Add(d), 0; time.Now().Before(end); i++ {
		began := time.Now()
		answer, err := http.Get(url + paths[i%len(paths)])
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", paths[i%len(paths)], answer.Status)
		}
		all = append(all, float64(time.Since(began).Microseconds())/1000)
		time.Sleep(20 * time.Millisecond)
	}
	return all
}

// TestServeLoad measures answers while a thousand jobs wait, one is being made and two hundred
// listen to events, beside those of a server that has nothing to do.
func TestServeLoad(t *testing.T) {
	measuring(t)
	demo := serviceHome(t)
	p, lines := startProcess(t, 1, "serve", "--listen", "127.0.0.1:0", "--store", t.TempDir())
	url := strings.TrimPrefix(lines[0], "listening on ")
	first := submitWhenReady(t, url, demo, 0)
	awaitVideo(t, p, url, first)
	idle := answers(t, url, first, 10*time.Second)
	picture := filepath.Join(demo.Pictures, "meadow.png")
	long := map[string]string{"sample_steps": "400"} // it is being made all the while
	for name, value := range serviceJob {
		if _, ok := long[name]; !ok {
			long[name] = value
		}
	}
	var created []float64
	for n := range 1001 {
		began := time.Now()
		post(t, url, picture, n, long).Body.Close()
		created = append(created, float64(time.Since(began).Microseconds())/1000)
	}
	var events atomic.Int64
	for range 200 {
		answer, err := http.Get(url + "/v1/events")
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		go func() {
			for read := bufio.NewScanner(answer.Body); read.Scan(); {
				if bytes.HasPrefix(read.Bytes(), []byte("event:")) {
					events.Add(1)
				}
			}
		}()
	}
	eventually(t, p, "all jobs told to all", func() bool { return events.Load() >= 200*1001 })
	before := p.resident(t)
	busy := answers(t, url, first, 45*time.Second)
	after := p.resident(t)
	t.Logf("median of answers: idle %.2f ms, busy %.2f ms (ratio %.1f), 99 %% of the busy ones in %.1f ms; a job is taken in %.1f ms; memory %d MB, 45 s later %d MB; %d events told",
		median(idle), median(busy), median(busy)/median(idle), slices.Sorted(slices.Values(busy))[len(busy)*99/100], median(created), before/1000, after/1000, events.Load())
	if median(busy) > 50 {
		t.Errorf("the median is %.1f ms, want at most 50", median(busy))
	}
	if after > before*11/10 {
		t.Errorf("memory grew from %d to %d kB", before, after)
	}
}

// TestServeOverhead measures videos made through a service beside those made by 'gimbal
// generate', in turn.
func TestServeOverhead(t *testing.T) {
	measuring(t)
	demo := serviceHome(t)
	p, lines := startProcess(t, 1, "serve", "--listen", "127.0.0.1:0", "--store", t.TempDir())
	url := strings.TrimPrefix(lines[0], "listening on ")
	awaitVideo(t, p, url, submitWhenReady(t, url, demo, 0))
	run := func(n int, args ...string) float64 {
		t.Helper()
		args = append([]string{"generate", "--image", filepath.Join(demo.Pictures, "meadow.png"), "--base_seed", fmt.Sprint(n), "--save_file", filepath.Join(t.TempDir(), "video.mp4")}, args...)
		for name, value := range serviceJob {
			if name != "model" && name != "sample_steps" {
				args = append(args, "--"+name, value)
			}
		}
		cmd := exec.Command(program, append(args, "--sample_steps", "40")...)
		cmd.Env = append(os.Environ(), "GOMAXPROCS=2")
		began := time.Now()
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return time.Since(began).Seconds()
	}
	var here, there, more []float64
	for n := range number("GIMBAL_SERVICE_JOBS", 15) {
		a := run(n, "--ckpt_dir", demo.Checkpoint)
		b := run(n, "--server", url, "--ckpt_dir", "demo")
		here, there, more = append(here, a), append(there, b), append(more, b-a)
	}
	t.Logf("%d pairs: generate %.2f s, through the service %.2f s, the median difference is %.2f s", len(more), median(here), median(there), median(more))
	if d := median(more); d > 0.3 && d > 0.03*median(here) {
		t.Errorf("the service takes %.2f s more, want at most 0.3 s or 3 %%", d)
	}
}
