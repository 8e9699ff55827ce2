package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gimbal/assets"
	"gimbal/inference/cpu"
	"gimbal/inference/device"
	"gimbal/inference/engine"
	"gimbal/inference/library"
	"gimbal/ui/studio"
)

// goneSettings are keys of 203db1e's files that may be missing in today's: options that
// gave nothing.
var goneSettings = map[string]bool{"attention_chunk": true, "vae_threshold": true, "vae_chunk_threshold": true, "reuse": true}

// renamedSettings are what its form called the settings of a job.
var renamedSettings = map[string]string{
	"picture": "image", "frames": "frame_num", "steps": "sample_steps", "solver": "sample_solver", "shift": "sample_shift",
	"guidance": "sample_guide_scale", "seed": "base_seed", "noise": "noise_rng", "vae_chunk": "vae_chunk_size",
	"attention_type": "attention_dtype", "offload": "offload_model",
}

// renewed returns JSON that it wrote as it is written today: settings have one name and
// are together in a job, a quantisation is a word, and pictures of its own demo, which is
// another one now, are not among the recent ones.
func renewed(v any) any {
	m, ok := v.(map[string]any)
	if !ok {
		return v
	}
	for key, value := range m {
		m[key] = renewed(value)
	}
	if q, ok := m["quant"].(map[string]any); ok {
		m["quant"] = q["kind"]
		if q["nested"] == true {
			m["quant"] = "nf4-double"
		}
		if job, ok := m["job"].(map[string]any); ok { // a run's, beside its job
			job["quant"] = m["quant"]
			delete(m, "quant")
		}
	}
	if in, ok := m["inputs"].(map[string]any); ok {
		m["inputs"] = renewedInputs(in)
	}
	if presets, ok := m["presets"].([]any); ok {
		for _, p := range presets {
			p := renewed(p).(map[string]any)
			p["values"] = renewedJob(p["values"].(map[string]any))
		}
	}
	if recents, ok := m["recents"].([]any); ok {
		m["recents"] = slices.DeleteFunc(recents, func(r any) bool { return strings.Contains(r.(string), "/cache/demo-") })
	}
	return m
}

func renewedInputs(in map[string]any) any {
	job, all := map[string]any{}, map[string]any{"job": nil}
	for key, value := range in {
		switch key {
		case "demo", "seed_locked":
			all[key] = value
		case "camera":
			job["action_path"] = value.(map[string]any)["folder"]
		default:
			job[key] = value
		}
	}
	all["job"] = renewedJob(job)
	return all
}

func renewedJob(old map[string]any) map[string]any {
	job := map[string]any{}
	for key, value := range old {
		if now, ok := renamedSettings[key]; ok {
			key = now
		}
		if !goneSettings[key] {
			job[key] = value
		}
	}
	return job
}

// recordedWindow copies what a window of 203db1e left when it was killed, and makes it
// the working folder: the paths in its files begin with /proc/self/cwd.
func recordedWindow(t *testing.T) {
	t.Helper()
	if _, err := os.Stat("/proc/self/cwd"); err != nil {
		t.Skip("the recorded paths begin with /proc/self/cwd")
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(recorded, "window"))); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOME", dir)
	t.Setenv("XDG_CACHE_HOME", filepath.Join(dir, "cache"))
	t.Chdir(dir)
}

// TestCompatLibrary opens the library: every run is there with all that was known of it,
// a video can be watched, and the runs that were under way can go on.
func TestCompatLibrary(t *testing.T) {
	recordedWindow(t)
	lib, err := library.Open("own/library")
	if err != nil {
		t.Fatal(err)
	}
	defer lib.Close()
	if r := lib.Report(); r.SetAside != "" || r.Rebuilt != 0 || len(r.Interrupted) != 2 {
		t.Errorf("opening found %+v, want two runs interrupted", r)
	}
	states := map[library.State]int{}
	for _, e := range lib.Search("") {
		was, err := os.ReadFile(filepath.Join(lib.Folder(e.ID), "run.json"))
		if err != nil {
			t.Fatal(err)
		}
		now, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		var a, b any
		decode(t, was, &a)
		decode(t, now, &b)
		for _, line := range differences(string(e.ID), renewed(a), b, goneSettings) {
			t.Error(line)
		}
		states[e.State]++
		if _, err := lib.Thumbnail(e.ID); err != nil {
			t.Error(err)
		}
		if want := e.State == library.Cancelled || e.State == library.Interrupted && e.Title() != "a walk"; e.CanResume() != want {
			t.Errorf("%s, %s: can go on: %v, want %v", e.Title(), e.State, e.CanResume(), want)
		}
		if e.State != library.Done {
			continue
		}
		v, err := lib.Video(e.ID)
		if err != nil || v.Frames != 5 || v.Width != 64 || v.Height != 32 {
			t.Fatalf("video %+v, %v", v, err)
		}
		if _, err := v.Frame(4); err != nil {
			t.Error(err)
		}
	}
	if states[library.Done] != 1 || states[library.Cancelled] != 1 || states[library.Failed] != 1 || states[library.Interrupted] != 2 {
		t.Errorf("states %v", states)
	}
	if found := lib.Search("plaza failed"); len(found) != 1 || found[0].Error == "" {
		t.Errorf("search for the run that failed: %+v", found)
	}
}

// TestCompatWindow opens settings and library as the window does, goes on with the runs
// that were cancelled, killed and waiting, and writes the settings again: nothing of
// them is lost.
func TestCompatWindow(t *testing.T) {
	recordedWindow(t)
	was, err := os.ReadFile("own/settings.json")
	if err != nil {
		t.Fatal(err)
	}
	demo, err := assets.UnpackDemo("/proc/self/cwd/cache")
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	st, err := studio.New(studio.Options{
		Engine: engine.NewLocal(engine.Options{
			Open: func(context.Context) (device.Device, error) { return cpu.Open(cpu.Options{}) }, RatesDir: "rates", Log: log,
		}),
		Dir: "/proc/self/cwd/own", OutputDir: "elsewhere", Trash: noTrash{}, Log: log,
		Demo: func() (assets.Demo, error) { return demo, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	wait := func(what string, done func(studio.Snapshot) bool) {
		t.Helper()
		for deadline := time.Now().Add(5 * time.Minute); !done(st.Snapshot()); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("never came: %s", what)
			}
		}
	}
	wait("the library", func(s studio.Snapshot) bool { return s.Library.Total == 5 })
	runs := map[library.ID]bool{}
	for _, e := range st.Snapshot().Library.Entries {
		if e.State == library.Cancelled || e.State == library.Interrupted {
			runs[e.ID] = true
			st.Resume(e.ID)
		}
	}
	if len(runs) != 3 {
		t.Errorf("%d runs to go on with, want 3", len(runs))
	}
	wait("the end of the runs", func(s studio.Snapshot) bool {
		return !slices.ContainsFunc(s.Library.Entries, func(e library.Entry) bool {
			return runs[e.ID] && e.State != library.Done && e.State != library.Failed
		})
	})
	if err := st.Close(t.Context()); err != nil {
		t.Fatal(err)
	}

	lib, err := library.Open("own/library")
	if err != nil {
		t.Fatal(err)
	}
	defer lib.Close()
	for id := range runs {
		e, _ := lib.Get(id)
		if v, err := lib.Video(id); e.State != library.Done || err != nil || v.Frames != 5 {
			t.Errorf("%s: %s %s, video %+v, %v", e.Title(), e.State, e.Error, v, err)
		}
	}
	now, err := os.ReadFile("own/settings.json")
	if err != nil {
		t.Fatal(err)
	}
	var a, b any
	decode(t, was, &a)
	decode(t, now, &b)
	for _, line := range differences("settings", renewed(a), b, goneSettings) {
		t.Error(line)
	}
}

// noTrash takes nothing.
type noTrash struct{}

func (noTrash) Trash(path string) error { return errors.New("not wanted: " + path) }
