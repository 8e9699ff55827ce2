package runstate_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

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

// TestMain saves states until it is killed when the environment says so.
func TestMain(m *testing.M) {
	if dir := os.Getenv("RUNSTATE_TEST_SAVE"); dir != "" {
		run, err := runstate.Open(dir)
		for step := 1; err == nil; step++ {
			err = run.Save(state(step))
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
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "RUNSTATE_TEST_SAVE="+dir)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(20+rnd.IntN(60)) * time.Millisecond)
		cmd.Process.Kill()
		cmd.Wait()
		run, err := runstate.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		s, err := run.Load()
		if err != nil {
			t.Fatal(err)
		}
		check(t, s)
		saved = max(saved, s.Step)
		run.Close()
	}
	if saved == 0 {
		t.Error("no child saved a state before it was killed")
	}
}

func TestErrors(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a.run")
	if _, err := runstate.Open(dir); err == nil {
		t.Error("opened a run that is not there")
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
	if _, err := runstate.Create(dir); !errors.Is(err, os.ErrExist) {
		t.Errorf("creating it again: %v, want os.ErrExist", err)
	}
	if _, err := runstate.Open(dir); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("opening a held run: %v", err)
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
