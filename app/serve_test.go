package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gimbal/assets"
)

// process is a running 'gimbal serve' or 'gimbal worker'.
type process struct {
	*exec.Cmd
	errs *bytes.Buffer
}

// startProcess starts the program and returns it with the first lines that it prints, as
// many as are wanted. It is killed at the end of the test.
func startProcess(t *testing.T, lines int, args ...string) (*process, []string) {
	t.Helper()
	p, printed, err := tryProcess(t, lines, args...)
	if err != nil {
		t.Fatal(err)
	}
	return p, printed
}

// tryProcess is startProcess for one that may end before it prints them.
func tryProcess(t *testing.T, lines int, args ...string) (*process, []string, error) {
	t.Helper()
	p := &process{exec.Command(program, args...), &bytes.Buffer{}}
	p.Env = append(os.Environ(), "GOMAXPROCS=2")
	p.Stderr = p.errs
	out, err := p.StdoutPipe()
	if err == nil {
		err = p.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.kill() })
	var printed []string
	for read := bufio.NewScanner(out); len(printed) < lines && read.Scan(); {
		printed = append(printed, read.Text())
	}
	if len(printed) < lines {
		p.Wait()
		return nil, nil, fmt.Errorf("%q ends: %s", args, p.errs)
	}
	go io.Copy(io.Discard, out)
	return p, printed, nil
}

func (p *process) kill() {
	p.Process.Kill()
	p.Wait()
}

// serviceJob is the job of the tests of the service: small, and of several steps.
var serviceJob = map[string]string{
	"model": "demo", "prompt": "a green meadow", "frame_num": "5", "sample_steps": "6", "max_area": "9216",
	"sample_guide_scale": "1", "noise_rng": "cpu",
}

// submit sends a job with a seed and returns its id.
func submit(t *testing.T, url, picture string, seed int) string {
	t.Helper()
	answer := post(t, url, picture, seed, serviceJob)
	defer answer.Body.Close()
	var v struct {
		ID    string
		Error any
	}
	if err := json.NewDecoder(answer.Body).Decode(&v); err != nil || v.ID == "" {
		t.Fatalf("%s: %v %v", answer.Status, v.Error, err)
	}
	return v.ID
}

// post sends a job with a seed.
func post(t *testing.T, url, picture string, seed int, settings map[string]string) *http.Response {
	t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for name, value := range settings {
		w.WriteField(name, value)
	}
	w.WriteField("base_seed", fmt.Sprint(seed))
	data, err := os.ReadFile(picture)
	if err != nil {
		t.Fatal(err)
	}
	part, _ := w.CreateFormFile("image", "picture.png")
	part.Write(data)
	w.Close()
	answer, err := http.Post(url+"/v1/videos", w.FormDataContentType(), &body)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// videoOf is what the service says of a job.
type videoOf struct {
	ID, Status, SHA256 string
	Step, Attempt      int
	Error              any
}

func lookAt(url, id string) (v videoOf, err error) {
	answer, err := http.Get(url + "/v1/videos/" + id)
	if err != nil {
		return v, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return v, fmt.Errorf("%s", answer.Status)
	}
	return v, json.NewDecoder(answer.Body).Decode(&v)
}

// alone makes the video of a seed by 'gimbal generate' and returns its hash.
func alone(t *testing.T, demo assets.Demo, seed int) string {
	t.Helper()
	output := filepath.Join(t.TempDir(), "video.mp4")
	args := []string{"generate", "--ckpt_dir", demo.Checkpoint, "--image", filepath.Join(demo.Pictures, "meadow.png"),
		"--base_seed", fmt.Sprint(seed), "--save_file", output}
	for name, value := range serviceJob {
		if name != "model" {
			args = append(args, "--"+name, value)
		}
	}
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), "GOMAXPROCS=2")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	data, err := os.ReadFile(output)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// serviceHome gives the processes of a test a cache of their own and returns the demo model.
func serviceHome(t *testing.T) assets.Demo {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", dir)
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(dir, "config"))
	demo, err := assets.UnpackDemo(filepath.Join(dir, "Gimbal"))
	if err != nil {
		t.Fatal(err)
	}
	return demo
}

// TestServe makes a video through the service in one process, the same to the bit as
// without it, and finds it again after the service was killed and started anew.
func TestServe(t *testing.T) {
	demo := serviceHome(t)
	store := t.TempDir()
	args := []string{"serve", "--listen", "127.0.0.1:0", "--store", store}
	p, lines := startProcess(t, 1, args...)
	url := strings.TrimPrefix(lines[0], "listening on ")
	id := submitWhenReady(t, url, demo, 3)
	v := awaitVideo(t, p, url, id)
	if want := alone(t, demo, 3); v.SHA256 != want {
		t.Errorf("the video's hash is %s, alone it is %s", v.SHA256, want)
	}
	answer, err := http.Get(url + "/v1/videos/" + id + "/content?part=sidecar")
	if err != nil {
		t.Fatal(err)
	}
	sidecar, err := io.ReadAll(answer.Body)
	answer.Body.Close()
	if err != nil || !json.Valid(sidecar) || bytes.Contains(sidecar, []byte(store)) || bytes.Contains(sidecar, []byte(demo.Checkpoint)) || !bytes.Contains(sidecar, []byte("a green meadow")) {
		t.Errorf("the sidecar is %s, %v", sidecar, err)
	}
	output := filepath.Join(t.TempDir(), "there.mp4")
	remote := []string{"generate", "--server", url, "--ckpt_dir", "demo", "--image", filepath.Join(demo.Pictures, "meadow.png"), "--base_seed", "3", "--save_file", output, "--save_frames", filepath.Join(filepath.Dir(output), "frames")}
	for name, value := range serviceJob {
		if name != "model" {
			remote = append(remote, "--"+name, value)
		}
	}
	if out, errs, code := gimbal(t, remote...); code != 0 || !strings.Contains(out, output) {
		t.Errorf("--server: exit code %d\n%s%s", code, out, errs)
	}
	if data, err := os.ReadFile(output); err != nil || fmt.Sprintf("%x", sha256.Sum256(data)) != v.SHA256 {
		t.Errorf("--server: another video, %v", err)
	}
	for _, name := range []string{"there.png", "there.json", "frames/frame_00005.png"} {
		if _, err := os.Stat(filepath.Join(filepath.Dir(output), name)); err != nil {
			t.Error(err)
		}
	}
	if out, errs, code := gimbal(t, "plan", "--server", url, "--ckpt_dir", "demo", "--frame_num", "5", "--max_area", "9216", "--image", filepath.Join(demo.Pictures, "meadow.png")); code != 0 || !strings.Contains(out, "5 frames of") {
		t.Errorf("plan --server: exit code %d\n%s%s", code, out, errs)
	}
	resumeVideo(t, p, url, demo, v.SHA256)
	if _, errs, code := gimbal(t, "generate", "--server", url, "--ckpt_dir", "other", "--image", filepath.Join(demo.Pictures, "meadow.png"), "--prompt", "x", "--save_file", output+".2.mp4"); code != exitFailed || !strings.Contains(errs, `"demo"`) {
		t.Errorf("--server with an unknown model: exit code %d, %s", code, errs)
	}
	p.kill()
	p, lines = startProcess(t, 1, args...)
	url = strings.TrimPrefix(lines[0], "listening on ")
	if again := awaitVideo(t, p, url, id); again.SHA256 != v.SHA256 || again.Attempt != 1 {
		t.Errorf("after the start %+v, before %+v", again, v)
	}
}

// resumeVideo cancels a video in the middle and lets it go on, to the same bits.
func resumeVideo(t *testing.T, p *process, url string, demo assets.Demo, want string) {
	t.Helper()
	id := submit(t, url, filepath.Join(demo.Pictures, "meadow.png"), 3)
	eventually(t, p, "a step", func() bool {
		v, err := lookAt(url, id)
		return err == nil && v.Step >= 2
	})
	ask := func(method, path string) {
		t.Helper()
		r, err := http.NewRequest(method, url+"/v1/videos/"+id+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusAccepted {
			t.Fatalf("%s %s: %s", method, path, answer.Status)
		}
	}
	ask(http.MethodDelete, "")
	eventually(t, p, "the video's end", func() bool {
		v, err := lookAt(url, id)
		return err == nil && v.Status == "cancelled"
	})
	ask(http.MethodPost, "/resume")
	if v := awaitVideo(t, p, url, id); v.SHA256 != want || v.Attempt != 2 {
		t.Errorf("resumed: %+v, want the hash %s", v, want)
	}
}

func submitWhenReady(t *testing.T, url string, demo assets.Demo, seed int) string {
	t.Helper()
	eventually(t, nil, "a worker", func() bool {
		answer, err := http.Get(url + "/v1/models")
		if err != nil {
			return false
		}
		defer answer.Body.Close()
		var models struct{ Data []any }
		return json.NewDecoder(answer.Body).Decode(&models) == nil && len(models.Data) > 0
	})
	return submit(t, url, filepath.Join(demo.Pictures, "meadow.png"), seed)
}

func awaitVideo(t *testing.T, p *process, url, id string) (v videoOf) {
	t.Helper()
	eventually(t, p, "video "+id, func() bool {
		var err error
		if v, err = lookAt(url, id); err == nil && (v.Status == "failed" || v.Status == "cancelled") {
			t.Fatalf("%+v\n%s", v, p.errs)
		}
		return v.Status == "done"
	})
	return v
}

// patience is how long a test waits for one thing.
var patience = time.Duration(number("GIMBAL_SERVICE_MINUTES", 3)) * time.Minute

func eventually(t *testing.T, p *process, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if done() {
			return
		}
	}
	if p != nil {
		t.Fatalf("waited for %s in vain\n%s", what, p.errs)
	}
	t.Fatalf("waited for %s in vain", what)
}

// TestServeLosesNothing kills workers at random, and the server too, while jobs are made:
// every video comes out once, the same to the bit as one that nobody disturbed.
// GIMBAL_SERVICE_JOBS, GIMBAL_SERVICE_WORKERS and GIMBAL_SERVICE_KILLS, of the server, make it
// larger.
func TestServeLosesNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("kills processes for a while")
	}
	demo := serviceHome(t)
	jobs, workers, kills := number("GIMBAL_SERVICE_JOBS", 6), number("GIMBAL_SERVICE_WORKERS", 2), number("GIMBAL_SERVICE_KILLS", 1)
	want := [3]string{alone(t, demo, 0), alone(t, demo, 1), alone(t, demo, 2)}
	store := t.TempDir()
	server, lines := startProcess(t, 2, "serve", "--listen", "127.0.0.1:0", "--store", store, "--workers", "0", "--nats_listen", "127.0.0.1:0", "--lease", "3s")
	url, nats := strings.TrimPrefix(lines[0], "listening on "), lines[1][strings.LastIndex(lines[1], " ")+1:]
	var fleet sync.WaitGroup
	defer fleet.Wait()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	for i := range workers {
		fleet.Go(func() {
			for ctx.Err() == nil {
				cmd := exec.CommandContext(ctx, program, "worker", "--nats", nats, "--store", filepath.Join(store, fmt.Sprint("worker", i)), "--lease", "3s")
				cmd.Env = append(os.Environ(), "GOMAXPROCS=2")
				if cmd.Start() != nil {
					return
				}
				killed := time.AfterFunc(time.Duration(4+rand.IntN(6))*time.Second, func() { cmd.Process.Kill() })
				cmd.Wait()
				killed.Stop()
			}
		})
	}
	ids := map[string]int{submitWhenReady(t, url, demo, 0): 0}
	for seed := 1; seed < jobs; seed++ {
		ids[submit(t, url, filepath.Join(demo.Pictures, "meadow.png"), seed%3)] = seed % 3
	}
	began := time.Now()
	for kill := range kills {
		eventually(t, server, "a part of the videos", func() bool {
			done := 0
			for id := range ids {
				if v, err := lookAt(url, id); err == nil && v.Status == "done" {
					done++
				}
			}
			return done >= (kill+1)*jobs/(kills+1)
		})
		server.kill()
		listen := strings.TrimPrefix(url, "http://")
		server, _ = startProcess(t, 2, "serve", "--listen", listen, "--store", store, "--workers", "0", "--nats_listen", strings.TrimPrefix(nats, "nats://"), "--lease", "3s")
	}
	attempts := 0
	for id, seed := range ids {
		v := awaitVideo(t, server, url, id)
		if v.SHA256 != want[seed] {
			t.Errorf("job %s, attempt %d: the video's hash is %s, undisturbed it is %s", id, v.Attempt, v.SHA256, want[seed])
		}
		attempts += v.Attempt
	}
	t.Logf("%d jobs on %d workers took %d attempts and %v", jobs, workers, attempts, time.Since(began).Round(time.Second))
	answer, err := http.Get(url + "/v1/videos?limit=200")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var list struct{ Data []videoOf }
	if err := json.NewDecoder(answer.Body).Decode(&list); err != nil || len(list.Data) != jobs {
		t.Errorf("%d videos are listed, want %d: %v", len(list.Data), jobs, err)
	}
}

// number returns a number from the environment.
func number(variable string, usual int) int {
	n := usual
	fmt.Sscan(os.Getenv(variable), &n)
	return n
}

// TestServeUsage makes sure that nothing listens to other machines without a secret.
func TestServeUsage(t *testing.T) {
	serviceHome(t)
	keys := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(keys, []byte("ann short\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"serve", "--listen", "0.0.0.0:0"}, exitUsage, "want --api_keys"},
		{[]string{"serve", "--listen", "nowhere"}, exitUsage, "HOST:PORT"},
		{[]string{"serve", "--listen", "127.0.0.1:0", "--nats_listen", "0.0.0.0:0", "--store", t.TempDir()}, exitFailed, "want a token and a TLS certificate"},
		{[]string{"serve", "--api_keys", keys}, exitUsage, "16 characters"},
		{[]string{"serve", "--model", "x"}, exitUsage, "NAME=FOLDER"},
		{[]string{"serve", "--keep", "-3h"}, exitUsage, "--keep"},
		{[]string{"serve", "--keep", "30"}, exitUsage, "flag --keep: want a time such as"},
		{[]string{"serve", "--lease", "2ns"}, exitUsage, "--lease"},
		{[]string{"serve", "--workers", "-1"}, exitUsage, "--workers"},
		{[]string{"serve", "--replicas", "3"}, exitUsage, "no cluster"},
		{[]string{"serve", "--tls_cert", keys}, exitUsage, "want both"},
		{[]string{"worker", "--nats", "nats://127.0.0.1:1", "--lease", "-1s"}, exitUsage, "--lease"},
		{[]string{"worker"}, exitUsage, "--nats"},
		{[]string{"worker", "--nats", "nats://127.0.0.1:1"}, exitFailed, "no NATS server answers"},
	} {
		if _, errs, code := gimbal(t, c.args...); code != c.code || !strings.Contains(errs, c.says) {
			t.Errorf("%q: exit code %d, want %d; printed %q, want %q in it", c.args, code, c.code, errs, c.says)
		}
	}
}

// TestServeToken says how a worker is let in, and why one is not.
func TestServeToken(t *testing.T) {
	serviceHome(t)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("a-token-of-the-test\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, lines := startProcess(t, 2, "serve", "--listen", "127.0.0.1:0", "--store", t.TempDir(), "--workers", "0", "--nats_listen", "127.0.0.1:0", "--nats_token_file", token)
	_, command, _ := strings.Cut(lines[1], "gimbal ")
	words := strings.Fields(command)
	if len(words) != 5 || words[3] != "--nats_token_file" || words[4] != "token" {
		t.Fatalf("printed %q", lines[1])
	}
	if _, errs, code := gimbal(t, words[:3]...); code != exitFailed || !strings.Contains(errs, "does not let this program in") {
		t.Errorf("without the token: exit code %d, %s", code, errs)
	}
	words[4] = token
	startProcess(t, 1, append(words, "--store", t.TempDir())...)
}
