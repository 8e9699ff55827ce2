package runstate_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gimbal/inference"
	"gimbal/inference/runstate"
)

const size = 200_000

// state returns a state of which every value tells the step.
func state(step int) runstate.State {
	values := make([]float32, size)
	for i := range values {
		values[i] = float32(step)
	}
	return runstate.State{
		Settings: json.RawMessage(fmt.Sprintf(`{"step":%d}`, step)), Step: step,
		Tensors: map[string][]float32{"latent": values, "empty": {}},
	}
}

func check(t *testing.T, s runstate.State) {
	t.Helper()
	if want := fmt.Sprintf(`{"step":%d}`, s.Step); string(s.Settings) != want {
		t.Errorf("settings %s, want %s", s.Settings, want)
	}
	if len(s.Tensors["latent"]) != size {
		t.Fatalf("latent of %d values, want %d", len(s.Tensors["latent"]), size)
	}
	for i, v := range s.Tensors["latent"] {
		if v != float32(s.Step) {
			t.Fatalf("value %d is %v, want %d", i, v, s.Step)
		}
	}
}

// TestMain saves states until it is killed when the environment says so, and
// tells of each one that Save has answered for.
func TestMain(m *testing.M) {
	if dir := os.Getenv("RUNSTATE_TEST_SAVE"); dir != "" {
		run, err := runstate.Open(dir)
		var s runstate.State
		if err == nil {
			s, err = run.Load()
		}
		for step := s.Step + 1; err == nil; step++ {
			err = run.Save(state(step))
			fmt.Println(step)
		}
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func TestKilledSave(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a.run")
	run, err := runstate.Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(run.Save(state(0)), run.Close()); err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(3, 4))
	saved := 0
	for range 30 {
		var told bytes.Buffer
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "RUNSTATE_TEST_SAVE="+dir)
		cmd.Stdout = &told
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(20+rnd.IntN(60)) * time.Millisecond)
		cmd.Process.Kill()
		cmd.Wait()
		for line := range strings.Lines(told.String()) {
			fmt.Sscan(line, &saved)
		}
		saved = loadAfterKill(t, dir, saved)
	}
	if saved == 0 {
		t.Error("no child saved a state before it was killed")
	}
}

// loadAfterKill returns the step of the state in dir: the last that Save has
// answered for, or the one after it.
func loadAfterKill(t *testing.T, dir string, saved int) int {
	t.Helper()
	run, err := runstate.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer run.Close()
	if left, _ := filepath.Glob(filepath.Join(dir, ".next*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	s, err := run.Load()
	if err != nil {
		t.Fatal(err)
	}
	check(t, s)
	if s.Step != saved && s.Step != saved+1 {
		t.Errorf("step %d after %d was saved", s.Step, saved)
	}
	return s.Step
}

// TestDamaged damages the newest state in every way that a disk knows.
func TestDamaged(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a.run")
	newest, previous := filepath.Join(dir, "state.safetensors"), filepath.Join(dir, "previous.safetensors")
	run, err := runstate.Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer run.Close()
	expect := func(steps ...int) {
		t.Helper()
		s, err := run.Load()
		if err != nil {
			t.Fatal(err)
		}
		check(t, s)
		if !slices.Contains(steps, s.Step) {
			t.Errorf("step %d, want %v", s.Step, steps)
		}
	}
	if err := errors.Join(run.Save(state(1)), run.Save(state(2))); err != nil {
		t.Fatal(err)
	}
	expect(2)
	whole, err := os.ReadFile(newest)
	if err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	damage := func(data []byte) {
		t.Helper()
		if err := os.WriteFile(newest, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	header := 8 + int(binary.LittleEndian.Uint64(whole))
	for range 15 {
		damage(whole[:rnd.IntN(len(whole))])
		expect(1)

		data := slices.Clone(whole)
		data[header+rnd.IntN(len(data)-header)] ^= 1 << rnd.IntN(8)
		damage(data)
		expect(1)

		data = slices.Clone(whole)
		data[rnd.IntN(header)] ^= 1 << rnd.IntN(8)
		damage(data)
		expect(1, 2) // 2 if the bit says nothing, in an escape or a blank
	}
	if err := os.Remove(newest); err != nil { // killed between the renames
		t.Fatal(err)
	}
	expect(1)
	if err := run.Save(state(5)); err != nil {
		t.Fatal(err)
	}
	expect(5)
	if err := errors.Join(os.Truncate(newest, 7), os.Truncate(previous, 70000)); err != nil {
		t.Fatal(err)
	}
	if _, err := run.Load(); err == nil || !strings.Contains(err.Error(), newest) {
		t.Errorf("both damaged: %v, want an error that names %s", err, newest)
	}
}

func TestErrors(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a.run")
	if _, err := runstate.Open(dir); err == nil {
		t.Error("opened a run that is not there")
	}
	foreign := filepath.Join(t.TempDir(), "letters")
	if err := os.WriteFile(foreign, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{foreign, filepath.Dir(foreign)} {
		if _, err := runstate.Open(dir); err == nil || !strings.Contains(err.Error(), "no run") {
			t.Errorf("opening something else: %v", err)
		}
		if _, err := runstate.Create(dir); err == nil || errors.Is(err, os.ErrExist) || !strings.Contains(err.Error(), "something else") {
			t.Errorf("creating over something else: %v", err)
		}
	}
	run, err := runstate.Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := run.Close(); err != nil {
		t.Fatal(err)
	}
	if run, err = runstate.Create(dir); err != nil {
		t.Fatalf("taking over a folder without a state: %v", err)
	}
	if err := run.Save(state(3)); err != nil {
		t.Fatal(err)
	}
	for name, take := range map[string]func(string) (*runstate.Run, error){"creating": runstate.Create, "opening": runstate.Open} {
		host, _ := os.Hostname()
		var busy *inference.BusyError
		if _, err := take(dir); !errors.As(err, &busy) || busy.PID != os.Getpid() || busy.Host != host || time.Since(busy.Since) > time.Minute || busy.Dir != dir {
			t.Errorf("%s a held run: %+v", name, err)
		}
	}
	if err := errors.Join(run.Close(), os.WriteFile(filepath.Join(dir, "lock"), nil, 0o644)); err != nil { // of before it told
		t.Fatal(err)
	}
	if _, err := runstate.Create(dir); !errors.Is(err, os.ErrExist) {
		t.Errorf("creating it again: %v, want os.ErrExist", err)
	}
	if run, err = runstate.Open(dir); err != nil || !run.Kept() {
		t.Fatalf("going on with it: %v", err)
	}
	file := filepath.Join(dir, "state.safetensors")
	if err := os.Truncate(file, 1000); err != nil {
		t.Fatal(err)
	}
	if _, err := run.Load(); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("loading a truncated state: %v, want an error that names %s", err, file)
	}
	if err := run.Remove(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("the folder is still there")
	}
}

// TestReplaced takes the folder away under a run, and begins another one in its place: the
// first keeps its hands off.
func TestReplaced(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a.run")
	run, err := runstate.Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(run.Save(state(1)), os.RemoveAll(dir)); err != nil {
		t.Fatal(err)
	}
	if run.Kept() {
		t.Error("a run is kept whose folder is gone")
	}
	other, err := runstate.Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(other.Save(state(7)), run.Remove()); err != nil {
		t.Fatal(err)
	}
	if run.Kept() || !other.Kept() {
		t.Error("a run takes another's folder for its own")
	}
	if err := other.Remove(); err != nil {
		t.Error(err)
	}
}
