package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gimbal/inference/golden"
)

// hashes returns the hash of every file below dir, and where links lead.
func hashes(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		if target, err := os.Readlink(path); err == nil {
			all[path] = "to " + target
			return nil
		}
		data, err := os.ReadFile(path)
		sum := sha256.Sum256(data)
		all[path] = hex.EncodeToString(sum[:])
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// ownFiles is a folder with what a person has: a checkpoint, a picture, letters, links.
func ownFiles(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "model"), os.DirFS(golden.Checkpoint(t))); err != nil {
		t.Fatal(err)
	}
	picture, err := os.ReadFile(filepath.Join(golden.Dir(t), "image.png"))
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"i.png": picture, "sheet.png": picture, "notes.json": []byte(`{"title":"notes"}`), "table.txt": []byte("my table\n"),
		"old.mp4": []byte("\x00\x00\x00\x18ftypisom holiday"), "report/report.txt": []byte("my report\n"), "report/attention.json": []byte(`{"benchmark":"mine"}`),
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{"weights": "model/Wan2.1_VAE.pth", "here": ".", "away.mp4": "/nowhere/disk/away.mp4"} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestNothingIsLost gives outputs that would replace each other, what is read or what
// Gimbal did not make. Every one ends in an error that names the file, and leaves all as it was.
func TestNothingIsLost(t *testing.T) {
	dir := ownFiles(t)
	ownFolders(t)
	before := hashes(t, dir)
	in := func(name string) string { return filepath.Join(dir, name) }
	generate := func(args ...string) []string {
		return append([]string{"generate", "--ckpt_dir", in("model"), "--image", in("i.png"), "--prompt", "a walk", "--frame_num", "5", "--sample_steps", "1", "--max_area", "1536"}, args...)
	}
	demo := func(args ...string) []string {
		return append([]string{"demo", "--frame_num", "1", "--sample_steps", "1", "--max_area", "9216"}, args...)
	}
	bench := []string{"bench", "attention", "--synthetic", tinyDims, "--lengths", "16", "--out"}
	for _, c := range []struct {
		name string
		args []string
		want []string
	}{
		{"another's video", generate("--save_file", in("old.mp4")), []string{"--save_file", in("old.mp4"), "did not make"}},
		{"another's picture beside the video", generate("--save_file", in("sheet.mp4")), []string{"--save_file", in("sheet.png")}},
		{"another's notes beside the demo", demo("--save_file", in("notes.mp4")), []string{"--save_file", in("notes.json")}},
		{"a link to nothing", generate("--save_file", in("away.mp4")), []string{"--save_file", "/nowhere/disk/away.mp4"}},
		{"the picture as a side file", generate("--save_file", in("i.mp4")), []string{"--save_file", in("i.png"), "picture"}},
		{"the trace over the video", demo("--save_file", in("v.mp4"), "--profile", in("here/V.mp4")), []string{"--profile", "save_file"}},
		{"the table over notes", demo("--save_file", in("v.mp4"), "--profile", in("table.json")), []string{"--profile", in("table.txt")}},
		{"the trace over the picture", generate("--save_file", in("v.mp4"), "--profile", in("here/i.png")), []string{"--profile", "picture"}},
		{"the trace over a config", generate("--save_file", in("v.mp4"), "--profile", in("model/low_noise_model/config.json")), []string{"--profile", "checkpoint"}},
		{"the trace in the run's folder", demo("--save_file", in("v.mp4"), "--profile", in("v.run/trace.json")), []string{"--profile", in("v.run")}},
		{"the dump over the weights", generate("--save_file", in("v.mp4"), "--dump_tensors", in("weights")), []string{"--dump_tensors", "checkpoint"}},
		{"the dump over the table", demo("--save_file", in("v.mp4"), "--profile", in("p.json"), "--dump_tensors", in("p.txt")), []string{"--profile", in("p.txt")}},
		{"frames into the checkpoint", generate("--save_file", in("v.mp4"), "--save_frames", in("model/low_noise_model")), []string{"--save_frames", "checkpoint"}},
		{"a report over another", append(bench, in("report")), []string{"--out", in("report/report.txt"), in("report/attention.json")}},
		{"a report in a file", append(bench, in("i.png")), []string{"--out", in("i.png")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, errs, code := gimbal(t, c.args...)
			if code == 0 || code == exitUsage {
				t.Errorf("exit code %d\n%s%s", code, out, errs)
			}
			for _, word := range c.want {
				if !strings.Contains(errs, word) {
					t.Errorf("the message does not name %q:\n%s", word, errs)
				}
			}
			if strings.Contains(errs, "step 1") {
				t.Errorf("it fails after work:\n%s", errs)
			}
		})
	}
	after := hashes(t, dir)
	for path, sum := range before {
		if after[path] != sum {
			t.Errorf("%s is another", path)
		}
	}
	for path := range after {
		if before[path] == "" {
			t.Errorf("%s is new", path)
		}
	}
}

// TestOwnFilesAreReplaced makes the same video with all that is written beside it twice: the
// second replaces what the first made. A demo that gives no name never replaces anything.
func TestOwnFilesAreReplaced(t *testing.T) {
	ownFolders(t)
	t.Chdir(t.TempDir())
	args := []string{"demo", "--frame_num", "1", "--sample_steps", "1", "--max_area", "9216"}
	all := append(args, "--save_file", "v.mp4", "--profile", "trace.json", "--dump_tensors", "dump.safetensors")
	for range 2 {
		if _, errs, code := gimbal(t, all...); code != 0 {
			t.Fatalf("exit code %d\n%s", code, errs)
		}
	}
	for range 2 {
		if _, errs, code := gimbal(t, args...); code != 0 {
			t.Fatalf("exit code %d\n%s", code, errs)
		}
	}
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	want := "demo.json demo.mp4 demo.png demo_2.json demo_2.mp4 demo_2.png dump.safetensors trace.json trace.txt v.json v.mp4 v.png"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("files %s, want %s", got, want)
	}
}

// TestSaveDir makes two videos that nobody names: the second takes another name than the
// first, which stays, though the working folder has none of it.
func TestSaveDir(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "folder")
	var first []byte
	for _, name := range []string{"demo.mp4", "demo_2.mp4"} {
		out, errs, code := gimbal(t, "demo", "--frame_num", "1", "--sample_steps", "1", "--max_area", "9216", "--save_dir", dir)
		if code != 0 || !strings.Contains(out, filepath.Join(dir, name)) {
			t.Fatalf("%s: exit code %d\n%s%s", name, code, out, errs)
		}
		settings, err := os.ReadFile(filepath.Join(dir, "demo.json"))
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = settings
		}
		if !bytes.Equal(settings, first) {
			t.Error("the second video wrote over the first")
		}
	}
}
