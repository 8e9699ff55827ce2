package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gimbal/inference/engine"
	"gimbal/inference/golden"
	"gimbal/inference/weights"
)

// program is the built binary, made once for all tests. It is built without the tag
// migrated_fynedo, so that Fyne logs calls from the wrong goroutine, and without what
// debuggers read, which takes seconds to link.
var program string

// crashVariable names the folder in which TestLogCrash's other process logs.
const crashVariable = "GIMBAL_TEST_CRASH"

// buildFlags are those that this test was built with.
var buildFlags []string

func TestMain(m *testing.M) {
	flag.Parse()
	os.Setenv(deviceVariable, "cpu")    // whose results the reference cases bound, on a Mac too
	if os.Getenv(crashVariable) != "" { // TestLogCrash's other process
		os.Exit(m.Run())
	}
	if config := os.Getenv(natsVariable); config != "" { // one of TestServeCluster's
		runNATS(config)
	}
	dir, err := os.MkdirTemp("", "gimbal")
	if err == nil {
		program = filepath.Join(dir, "gimbal")
		cmd := exec.Command("go", append(append([]string{"build", "-ldflags=-w"}, buildFlags...), "-o", program, ".")...)
		cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
		err = cmd.Run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "building the program:", err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// gimbal runs the program and returns what it printed and its exit code.
func gimbal(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := exec.Command(program, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// e2e holds the scalars of an end-to-end case.
type e2e struct {
	Prompt         string   `json:"prompt"`
	NegativePrompt string   `json:"negative_prompt"`
	Action         *string  `json:"action"`
	Picture        string   `json:"picture"`
	Solver         string   `json:"solver"`
	Steps          int      `json:"steps"`
	Shift          float64  `json:"shift"`
	GuideScale     scale    `json:"guide_scale"`
	Seed           uint64   `json:"seed"`
	Boundary       float64  `json:"boundary"`
	Frames         int      `json:"requested_frames"`
	MaxArea        int      `json:"max_area"`
	ExpertCalls    [][2]any `json:"expert_calls"`
	Still          int      `json:"cfg_zero"` // first steps that go nowhere, for which nothing is computed here
}

// scale is a guidance scale, one number or a pair.
type scale []float64

func (s *scale) UnmarshalJSON(text []byte) error {
	var one float64
	if json.Unmarshal(text, &one) == nil {
		*s = scale{one}
		return nil
	}
	return json.Unmarshal(text, (*[]float64)(s))
}

func (s scale) String() string {
	var words []string
	for _, v := range s {
		words = append(words, strconv.FormatFloat(v, 'g', -1, 64))
	}
	return strings.Join(words, ",")
}

// args returns the flags of the case.
func (c e2e) args(tb testing.TB, out string) []string {
	return c.argsOn(golden.Dir(tb), out)
}

// argsOn is args for a case that builds on a folder of reference cases.
func (c e2e) argsOn(base, out string) []string {
	args := []string{
		"generate", "--json", "--task", "i2v-A14B",
		"--ckpt_dir", filepath.Join(base, "checkpoint-tiny"), "--image", filepath.Join(base, "image.png"),
		"--prompt", c.Prompt, "--negative_prompt", c.NegativePrompt,
		"--frame_num", strconv.Itoa(c.Frames), "--max_area", strconv.Itoa(c.MaxArea),
		"--sample_solver", c.Solver, "--sample_steps", strconv.Itoa(c.Steps),
		"--sample_shift", fmt.Sprint(c.Shift), "--sample_guide_scale", c.GuideScale.String(),
		"--boundary", fmt.Sprint(c.Boundary), "--base_seed", strconv.FormatUint(c.Seed, 10),
		"--noise_rng", "cpu", "--offload_model", "True", "--save_file", out,
	}
	if c.Action != nil {
		args = append(args, "--action_path", filepath.Join(base, "actions", *c.Action))
	}
	return args
}

// TestReference runs the end-to-end cases through the program.
func TestReference(t *testing.T) {
	for _, c := range golden.Cases(t, "e2e_") {
		t.Run(c.Name, func(t *testing.T) { runCase(t, c) })
	}
}

// runCase runs a case with flags of its own behind the case's, and compares all
// that comes out.
func runCase(t *testing.T, c golden.Case, flags ...string) {
	t.Helper()
	runCaseOn(t, c, golden.Dir(t), bounds, flags...)
}

// bounds of the tensors' relative errors.
var bounds = map[string]float64{"noise": 1e-6, "vae_input": 1e-5, "image_latent": 2e-5, "latent": 1e-4, "video": 1e-3}

// runCaseOn is runCase of a case that builds on a folder of reference cases, with bounds of its own.
func runCaseOn(t *testing.T, c golden.Case, base string, bounds map[string]float64, flags ...string) {
	t.Helper()
	var scalars e2e
	c.Scalars(t, &scalars)
	dir := t.TempDir()
	dump := filepath.Join(dir, "dump.safetensors")
	args := append(scalars.argsOn(base, filepath.Join(dir, "v.mp4")), "--dump_tensors", dump)
	out, errs, code := gimbal(t, append(args, flags...)...)
	if code != 0 {
		t.Fatalf("exit code %d\n%s%s", code, out, errs)
	}
	compareDump(t, c, dump, bounds)
	compareCalls(t, scalars, out)
	for _, name := range []string{"v.mp4", "v.png", "v.json"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "v.run")); err == nil {
		t.Error("the run folder of a finished video is still there")
	}
}

func compareDump(t *testing.T, c golden.Case, dump string, bounds map[string]float64) {
	store, err := weights.Open(dump)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	for name, bound := range bounds {
		want, shape := c.F32(t, name)
		tensor, err := store.Tensor(name)
		if err != nil {
			t.Error(err)
			continue
		}
		got, err := tensor.Float32s()
		if err != nil {
			t.Error(err)
			continue
		}
		if fmt.Sprint(tensor.Shape) != fmt.Sprint(shape) {
			t.Errorf("%s: shape %v, want %v", name, tensor.Shape, shape)
		}
		golden.Check(t, name, got, want, bound)
		t.Logf("%s: relative error %.2g", name, golden.RelL2(got, want))
	}
}

// line is one event as --json prints it.
type line struct {
	Event string
	Data  json.RawMessage
}

func events(t *testing.T, out string) []line {
	t.Helper()
	var lines []line
	for s := bufio.NewScanner(strings.NewReader(out)); s.Scan(); {
		var l line
		if err := json.Unmarshal(s.Bytes(), &l); err != nil {
			t.Fatalf("line %q: %v", s.Text(), err)
		}
		lines = append(lines, l)
	}
	return lines
}

// compareCalls checks which expert ran at which timestep, as often as it did.
func compareCalls(t *testing.T, want e2e, out string) {
	t.Helper()
	var got [][2]any
	for _, l := range events(t, out) {
		if l.Event != "step" {
			continue
		}
		var step struct {
			Expert   string
			Timestep float64
			Passes   int
		}
		if err := json.Unmarshal(l.Data, &step); err != nil {
			t.Fatal(err)
		}
		call := [2]any{strings.TrimSuffix(step.Expert, "_noise_model"), step.Timestep}
		got = append(got, slices.Repeat([][2]any{call}, step.Passes)...)
	}
	if calls := want.ExpertCalls[2*want.Still:]; fmt.Sprint(got) != fmt.Sprint(calls) {
		t.Errorf("experts and timesteps %v, want %v", got, calls)
	}
}

// TestKill kills the program at random moments of a run, counted in events so that
// a loaded machine makes no difference; each time the run resumes to the same video.
func TestKill(t *testing.T) {
	kills := 30
	if testing.Short() {
		kills = 5
	}
	c := golden.Cases(t, "e2e_")[0]
	var scalars e2e
	c.Scalars(t, &scalars)
	scalars.Steps = 4
	testKill(t, kills, func(out string) []string { return scalars.args(t, out) })
}

// TestKillCausal is TestKill of a causal run, which is made chunk by chunk.
func TestKillCausal(t *testing.T) {
	kills := 16
	if testing.Short() {
		kills = 4
	}
	for _, c := range golden.CausalCases(t, "e2e_") {
		var scalars causalE2E
		if c.Scalars(t, &scalars); scalars.Index == nil || scalars.Chunks < 2 {
			continue
		}
		testKill(t, kills, func(out string) []string { return scalars.command(t, out) })
		return
	}
	t.Fatal("no case has several chunks")
}

// testKill kills so many runs of a command, which is made for a video.
func testKill(t *testing.T, kills int, command func(out string) []string) {
	t.Helper()
	whole := filepath.Join(t.TempDir(), "v.mp4")
	out, errs, code := gimbal(t, command(whole)...)
	if code != 0 {
		t.Fatalf("exit code %d\n%s%s", code, out, errs)
	}
	total := len(events(t, out))
	want, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	var resumed atomic.Int32
	t.Run("kills", func(t *testing.T) {
		for i := range kills {
			after, more := 1+rnd.IntN(total), time.Duration(rnd.IntN(30))*time.Millisecond
			t.Run(strconv.Itoa(i), func(t *testing.T) {
				t.Parallel()
				out := filepath.Join(t.TempDir(), "v.mp4")
				args := command(out)
				killAfter(t, after, more, args)
				run := strings.TrimSuffix(out, ".mp4") + ".run"
				if _, err := engine.ReadRun(run); err == nil {
					args = []string{"generate", "--json", "--resume", run}
					resumed.Add(1)
				} else if _, err := os.Stat(out); err == nil {
					args = nil // killed after its end
				}
				if args != nil {
					if stdout, errs, code := gimbal(t, args...); code != 0 {
						t.Fatalf("%v: exit code %d\n%s%s", args, code, stdout, errs)
					}
				}
				got, err := os.ReadFile(out)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(got, want) {
					t.Error("the resumed video differs from the unbroken one")
				}
			})
		}
	})
	t.Logf("%d of %d killed runs were resumed", resumed.Load(), kills)
	if int(resumed.Load()) < kills/3 {
		t.Errorf("only %d of %d kills fell into a run", resumed.Load(), kills)
	}
}

// killAfter starts the program and kills it some time after it has printed the
// given number of events.
func killAfter(t *testing.T, events int, more time.Duration, args []string) {
	t.Helper()
	cmd := exec.Command(program, args...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for s := bufio.NewScanner(out); events > 0 && s.Scan(); events-- {
	}
	time.Sleep(more)
	cmd.Process.Kill()
	io.Copy(io.Discard, out)
	cmd.Wait()
}

// TestInterrupt makes sure that an interrupted run ends with its own exit code, and soon: after
// few of its steps.
func TestInterrupt(t *testing.T) {
	c := golden.Cases(t, "e2e_")[0]
	var scalars e2e
	c.Scalars(t, &scalars)
	scalars.Steps = 900
	cmd := exec.Command(program, scalars.args(t, filepath.Join(t.TempDir(), "v.mp4"))...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for s := bufio.NewScanner(out); s.Scan() && !strings.Contains(s.Text(), `"event":"step"`); {
	}
	begin := time.Now()
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	rest, _ := io.ReadAll(out)
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 130 {
		t.Errorf("exit code %d, want 130", code)
	}
	late := bytes.Count(rest, []byte(`"event":"step"`))
	if took := time.Since(begin); took > 10*time.Second || late > scalars.Steps/3 {
		t.Errorf("the program ended %v and %d steps of %d after the interrupt", took, late, scalars.Steps)
	}
	if !strings.Contains(errs.String(), "--resume") {
		t.Errorf("the message does not say how to go on:\n%s", errs.String())
	}
}
