package main

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"gimbal/inference/golden"
	"gimbal/inference/weights"
)

// recorded is what commit 203db1e left and gave; its README says how it was made.
var recorded = filepath.Join("..", "inference", "testdata", "compat", "203db1e")

// baseline names a binary of an earlier commit: TestCompatRuns then wants the bits that
// it gives on this machine.
const baseline = "GIMBAL_BASELINE"

// oldCase is a command line and the environment that it was run in. {demo} stands for the
// folder of the unpacked demo, {golden} for that of the reference cases and {out} for
// that of the output.
type oldCase struct {
	Name string
	Args []string
	Env  map[string]string
}

// oldPlan is what gimbal plan --json said.
type oldPlan struct {
	oldCase
	Plan json.RawMessage
}

// oldRun is a run and its results.
type oldRun struct {
	oldCase
	RunDir string            `json:"run_dir"` // of the same run, killed; "" for none
	Bound  float64           // of relative errors: another CPU rounds otherwise
	SHA256 map[string]string // of the tensors' bytes
	Latent []byte            // F32
	Video  []byte            // F32, one value of each 32
}

func readRecorded[T any](t *testing.T, name string) (all []T) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(recorded, name))
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	if err != nil || len(all) == 0 {
		t.Fatalf("%s: %d cases, %v", name, len(all), err)
	}
	return all
}

// replay runs recorded command lines by a binary.
type replay struct {
	binary, cache string
	of            map[string]string // what the placeholders stand for
}

// newReplay returns one with a demo of the binary's own and a copy of the reference cases,
// in which runs may leave quantised weights.
func newReplay(t *testing.T, binary string) replay {
	t.Helper()
	if t.Setenv("GIMBAL_GOLDEN_DIR", ""); testing.Short() {
		t.Skip("makes a dozen videos")
	}
	r := replay{binary: binary, cache: t.TempDir()}
	r.run(t, r.cache, oldCase{Args: []string{"demo", "--help"}}) // unpacks it
	demo, _ := filepath.Glob(filepath.Join(r.cache, "Gimbal", "demo-*"))
	dir := filepath.Join(t.TempDir(), "golden")
	if err := os.CopyFS(dir, os.DirFS(golden.Dir(t))); err != nil || len(demo) != 1 {
		t.Fatal(demo, err)
	}
	r.of = map[string]string{"{demo}": demo[0], "{golden}": dir}
	return r
}

// newBaseline returns one of GIMBAL_BASELINE's binary, or nil.
func newBaseline(t *testing.T) *replay {
	if old := os.Getenv(baseline); old != "" {
		r := newReplay(t, old)
		return &r
	}
	return nil
}

// run runs a case with its output in the folder dir, and returns what it printed.
func (r replay) run(t *testing.T, dir string, c oldCase) []byte {
	t.Helper()
	args := slices.Clone(c.Args)
	for i := range args {
		for name, path := range r.of {
			args[i] = strings.ReplaceAll(args[i], name, path)
		}
		args[i] = strings.ReplaceAll(args[i], "{out}", dir)
	}
	cmd := exec.Command(r.binary, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "XDG_CACHE_HOME="+r.cache, "GOMAXPROCS=2") // what a plan counts grows with threads
	for name, value := range c.Env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s%s", args, err, out, errs.Bytes())
	}
	return out
}

// TestCompatPlans makes sure that plans are as they were, to the byte: of every phase the
// buffers, the scratch, the program's memory, the weights and the work by kind, the disk
// for weights, and what --auto chooses.
func TestCompatPlans(t *testing.T) {
	r := newReplay(t, program)
	cases := readRecorded[oldPlan](t, "plans.json")
	r.run(t, t.TempDir(), cases[0].oldCase) // measures this machine, once
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			var got, want any
			decode(t, r.run(t, dir, c.oldCase), &got)
			decode(t, c.Plan, &want)
			grow(want.(map[string]any)["plan"])
			names := map[string]string{dir: "{out}"}
			for name, path := range r.of {
				names[path] = name
			}
			for _, line := range differences("", planned(want, nil), planned(got, names), nil) {
				if !slices.Contains(less[c.Name], line) {
					t.Error(line)
				}
			}
			if less[c.Name] != nil {
				return
			}
			for _, line := range differences("", planned(got, names), planned(want, nil), nil) {
				t.Error("the other way round:", line)
			}
		})
	}
}

// grow adds to a recorded plan what the program itself has grown by since.
func grow(plan any) {
	for _, p := range plan.(map[string]any)["phases"].([]any) {
		phase := p.(map[string]any)
		host, _ := phase["host"].(json.Number).Int64()
		phase["host"] = json.Number(fmt.Sprint(host + 2<<20))
	}
}

// less is where plans without a camera path hold less than they did: the tables of the
// rotary embedding are filled when what the prompts needed is given back.
var less = map[string][]string{
	"two experts, int8, no camera":                 {".plan.phases[2].host is 14905884, was 14908956", ".plan.phases[4].host is 14905884, was 14908956"},
	"one expert, 81 frames, no camera, guidance 1": {".plan.phases[2].buffers is 7831048, was 7847176"},
}

// planned returns a plan without times, names of devices and words, with the names of
// folders in place of their paths.
func planned(v any, names map[string]string) any {
	switch v := v.(type) {
	case map[string]any:
		for _, key := range []string{"time", "device", "notices", "why"} {
			delete(v, key)
		}
		for key := range v {
			v[key] = planned(v[key], names)
		}
		if v["setting"] == "VAE_CHUNK_SIZE" { // what it was called
			v["setting"] = "vae_chunk_size"
		}
		if disk, ok := v["disk"].([]any); ok {
			disk = slices.DeleteFunc(disk, func(d any) bool { // what a run writes was not all counted
				what, _ := d.(map[string]any)["what"].(string)
				return !strings.Contains(what, " weights of ")
			})
			v["disk"] = disk
			slices.SortFunc(disk, func(a, b any) int { return cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
		}
	case []any:
		for i := range v {
			v[i] = planned(v[i], names)
		}
	case string:
		for _, path := range slices.SortedFunc(maps.Keys(names), func(a, b string) int { return len(b) - len(a) }) {
			v = strings.ReplaceAll(v, path, names[path])
		}
		return v
	}
	return v
}

// TestCompatRuns makes the videos that were recorded and wants what they were, as far as
// another CPU can give it, or with GIMBAL_BASELINE the very bits of that binary.
func TestCompatRuns(t *testing.T) {
	r, old := newReplay(t, program), newBaseline(t)
	for _, c := range readRecorded[oldRun](t, "runs.json") {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			r.run(t, dir, c.oldCase)
			c.compare(t, dir)
			if old != nil {
				other := t.TempDir()
				old.run(t, other, c.oldCase)
				c.SHA256 = sums(t, other)
				c.same(t, dir)
			}
		})
	}
}

// TestCompatResume goes on with runs that 203db1e was at when it was killed: between
// steps of both solvers, with quantised weights, with the second expert at work, and
// while the video was decoded.
func TestCompatResume(t *testing.T) {
	if _, err := os.Stat("/proc/self/cwd"); err != nil {
		t.Skip("the recorded paths begin with /proc/self/cwd")
	}
	r, old := newReplay(t, program), newBaseline(t)
	for _, c := range readRecorded[oldRun](t, "runs.json") {
		if c.RunDir == "" {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			resume := func(r replay) string {
				dir := t.TempDir()
				if err := os.CopyFS(filepath.Join(dir, "v.run"), os.DirFS(filepath.Join(recorded, c.RunDir))); err != nil {
					t.Fatal(err)
				}
				checkpoint := c.Args[slices.Index(c.Args, "--ckpt_dir")+1]
				r.run(t, dir, oldCase{Args: []string{"generate", "--json", "--resume", "v.run", "--ckpt_dir", checkpoint}})
				return dir
			}
			dir := resume(r)
			c.compare(t, dir)
			for _, name := range []string{"v.mp4", "v.png", "v.json"} {
				if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() == 0 {
					t.Errorf("%s: %v", name, err)
				}
			}
			if old != nil {
				c.SHA256 = sums(t, resume(*old))
				c.same(t, dir)
			}
		})
	}
}

// dumped returns the bytes of the tensors that a run left in dir.
func dumped(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	store, err := weights.Open(filepath.Join(dir, "dump.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	all := map[string][]byte{}
	for _, name := range store.Names() {
		tensor, err := store.Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		values, err := tensor.Float32s()
		if err != nil {
			t.Fatal(err)
		}
		all[name] = bytes.Clone(asBytes(values))
	}
	return all
}

func sums(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for name, data := range dumped(t, dir) {
		sum := sha256.Sum256(data)
		all[name] = hex.EncodeToString(sum[:])
	}
	return all
}

// same wants the very bits.
func (c oldRun) same(t *testing.T, dir string) {
	t.Helper()
	if got := sums(t, dir); !maps.Equal(got, c.SHA256) {
		t.Errorf("the tensors' hashes are %v, want %v", got, c.SHA256)
	}
}

// compare wants the numbers, within what another CPU changes.
func (c oldRun) compare(t *testing.T, dir string) {
	t.Helper()
	got := dumped(t, dir)
	golden.Check(t, "latent", asFloats(got["latent"]), asFloats(c.Latent), c.Bound)
	var video []float32
	for i, v := range asFloats(got["video"]) {
		if i%32 == 0 {
			video = append(video, v)
		}
	}
	golden.Check(t, "video", video, asFloats(c.Video), c.Bound)
	for _, name := range []string{"noise", "vae_input"} { // no CPU computes these otherwise
		if sum := sha256.Sum256(got[name]); hex.EncodeToString(sum[:]) != c.SHA256[name] {
			t.Errorf("%s is another", name)
		}
	}
	t.Logf("the same bits as on the machine that recorded them: %v", maps.Equal(sums(t, dir), c.SHA256))
}

func asBytes(v []float32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(v))), 4*len(v))
}

func asFloats(b []byte) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/4)
}

func decode(t *testing.T, text []byte, v any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
}

// differences names what of old JSON is not in the new one, or is another. Keys in gone
// may be missing; new ones may have come.
func differences(at string, old, now any, gone map[string]bool) (all []string) {
	switch old := old.(type) {
	case map[string]any:
		other, _ := now.(map[string]any)
		for _, key := range slices.Sorted(maps.Keys(old)) {
			if _, there := other[key]; there || !gone[key] {
				all = append(all, differences(at+"."+key, old[key], other[key], gone)...)
			}
		}
	case []any:
		other, _ := now.([]any)
		if len(other) != len(old) {
			return []string{fmt.Sprintf("%s has %d elements, had %d: %v, was %v", at, len(other), len(old), now, old)}
		}
		for i := range old {
			all = append(all, differences(fmt.Sprintf("%s[%d]", at, i), old[i], other[i], gone)...)
		}
	default:
		if old != now {
			all = append(all, fmt.Sprintf("%s is %v, was %v", at, now, old))
		}
	}
	return all
}
