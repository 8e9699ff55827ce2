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
// gave nothing, and one that the form has no more.
var goneSettings = map[string]bool{"attention_chunk": true, "reuse": true, "vae_threshold": true}

// renamedSettings are the keys of 203db1e's settings.json, in inputs and presets, that are
// called otherwise now that both hold jobs.
var renamedSettings = map[string]string{
	"picture": "image", "frames": "frame_num", "steps": "sample_steps", "solver": "sample_solver", "shift": "sample_shift",
	"guidance": "sample_guide_scale", "seed": "base_seed", "noise": "noise_rng", "vae_chunk": "vae_chunk_size",
	"attention_type": "attention_dtype", "offload": "offload_model",
}

// todaysQuant returns a quantisation of 203db1e by its name.
func todaysQuant(old any) any {
	q, _ := old.(map[string]any)
	if q["nested"] == true {
		return "nf4-double"
	}
	return q["kind"]
}

// todaysJob returns what inputs or a preset of 203db1e say of a job.
func todaysJob(old map[string]any) map[string]any {
	job := map[string]any{}
	for key, value := range old {
		if now, ok := renamedSettings[key]; ok {
			key = now
		}
		if key == "quant" {
			value = todaysQuant(value)
		}
		job[key] = value
	}
	return job
}

// todaysSettings returns 203db1e's settings.json by today's names.
func todaysSettings(all map[string]any) map[string]any {
	in := all["inputs"].(map[string]any)
	job := todaysJob(in)
	now := map[string]any{"job": job}
	for _, key := range []string{"demo", "seed_locked"} {
		now[key] = in[key]
		delete(job, key)
	}
	job["action_path"] = in["camera"].(map[string]any)["folder"]
	delete(job, "camera")
	all["inputs"] = now
	for _, p := range all["presets"].([]any) {
		own := p.(map[string]any)
		own["values"] = todaysJob(own["values"].(map[string]any))
	}
	return all
}

// todaysEntry returns a run of 203db1e's library by today's names.
func todaysEntry(entry map[string]any) map[string]any {
	settings := entry["settings"].(map[string]any)
	if q, ok := settings["quant"]; ok {
		settings["job"].(map[string]any)["quant"] = todaysQuant(q)
		delete(settings, "quant")
	}
	return entry
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
		var a, b map[string]any
		decode(t, was, &a)
		decode(t, now, &b)
		for _, line := range differences(string(e.ID), todaysEntry(a), b, goneSettings) {
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

// TestCompatWindow opens settings and library as the window does, makes the video that was
// waiting, refuses to go on with those that were begun with another demo model, and writes the
// settings again: nothing of them is lost. TestCompatResume goes on with runs.
func TestCompatWindow(t *testing.T) {
	recordedWindow(t)
	was, err := os.ReadFile("own/settings.json")
	if err != nil {
		t.Fatal(err)
	}
	meadow := "cache/demo-d3c73cef179de931/pictures/meadow.png" // a recent picture: 203db1e's demo stays
	if err := os.MkdirAll(filepath.Dir(meadow), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Link("picture.png", meadow); err != nil {
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
		if e.Title() != "a walk" { // begun with the demo model of then
			if e.State != library.Failed || !strings.Contains(e.Error, "another checkpoint") {
				t.Errorf("%s: %s %s", e.Title(), e.State, e.Error)
			}
			continue
		}
		if v, err := lib.Video(id); e.State != library.Done || err != nil || v.Frames != 5 {
			t.Errorf("%s: %s %s, video %+v, %v", e.Title(), e.State, e.Error, v, err)
		}
	}
	now, err := os.ReadFile("own/settings.json")
	if err != nil {
		t.Fatal(err)
	}
	var a, b map[string]any
	decode(t, was, &a)
	decode(t, now, &b)
	for _, line := range differences("settings", todaysSettings(a), b, goneSettings) {
		t.Error(line)
	}
}

// noTrash takes nothing.
type noTrash struct{}

func (noTrash) Trash(path string) error { return errors.New("not wanted: " + path) }
