package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestProfile times the demo: the trace loads, and has every block's operations.
func TestProfile(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", dir)
	t.Setenv("HOME", dir)
	trace := filepath.Join(dir, "run.json")
	out, errs, code := gimbal(t, "demo", "--frame_num", "1", "--sample_steps", "1", "--save_file", filepath.Join(dir, "demo.mp4"), "--profile", trace)
	if code != 0 {
		t.Fatalf("exit code %d\n%s%s", code, out, errs)
	}
	text, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	var events struct {
		TraceEvents []struct{ Name, Cat string }
	}
	if err := json.Unmarshal(text, &events); err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, e := range events.TraceEvents {
		seen[e.Cat+" "+strings.Fields(e.Name)[0]]++
	}
	for _, want := range []string{"submission blocks.0", "operation Linear", "operation Attention", "operation Conv", "transfer Write"} {
		if seen[want] == 0 {
			t.Errorf("no %s among %v", want, seen)
		}
	}
	table, err := os.ReadFile(filepath.Join(dir, "run.txt"))
	if err != nil || !strings.Contains(string(table), "TFLOP/s") || !strings.Contains(errs, string(table)) {
		t.Errorf("the table: %v, printed:\n%s", err, errs)
	}
}

// TestProfileUnwritable does not pass over a trace that cannot be written.
func TestProfileUnwritable(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", dir)
	t.Setenv("HOME", dir)
	_, errs, code := gimbal(t, "demo", "--frame_num", "1", "--sample_steps", "1", "--save_file", filepath.Join(dir, "demo.mp4"), "--profile", filepath.Join(dir, "none", "run.json"))
	if code == 0 || !strings.Contains(errs, "profile") {
		t.Errorf("exit code %d\n%s", code, errs)
	}
}
