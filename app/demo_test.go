package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gimbal/assets"
	"gimbal/inference/golden"
)

// TestDemo runs the demo through the program, as a new user does.
func TestDemo(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", dir)
	t.Setenv("HOME", dir)
	video := filepath.Join(dir, "demo.mp4")
	out, errs, code := gimbal(t, "demo", "--frame_num", "5", "--sample_steps", "2", "--max_area", "9216", "--save_file", video)
	if code != 0 {
		t.Fatalf("exit code %d\n%s%s", code, out, errs)
	}
	for _, ext := range []string{".mp4", ".png", ".json"} {
		name := strings.TrimSuffix(video, ".mp4") + ext
		if info, err := os.Stat(name); err != nil || info.Size() == 0 || !strings.Contains(out, name) {
			t.Errorf("%s: %v; printed:\n%s", name, err, out)
		}
	}
}

// TestDemoWithoutCache makes sure that the demo needs no folder for caches.
func TestDemoWithoutCache(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_CACHE_HOME", file) // nothing can be made in it, whoever asks
	t.Setenv("HOME", file)
	t.Setenv("TMPDIR", dir)
	out, errs, code := gimbal(t, "demo", "--frame_num", "1", "--sample_steps", "1", "--save_file", filepath.Join(dir, "demo.mp4"))
	if code != 0 {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
}

// TestDemoReference compares what the demo model makes here with what it makes in
// PyTorch (assets/demo/train/reference_case.py), within the reference cases' bounds.
func TestDemoReference(t *testing.T) {
	demo, err := assets.UnpackDemo(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range golden.CasesIn(t, filepath.Join("..", "assets", "demo", "testdata"), "e2e_") {
		var scalars e2e
		c.Scalars(t, &scalars)
		runCase(t, c, "--ckpt_dir", demo.Checkpoint,
			"--image", filepath.Join(demo.Pictures, scalars.Picture+".png"),
			"--action_path", filepath.Join(demo.Cameras, *scalars.Action))
	}
}

// TestDemoFollowsTheCamera makes sure that what ships turns left when the camera
// does: on a path to the left the picture's contents move right, and on a path
// to the right they move left.
func TestDemoFollowsTheCamera(t *testing.T) {
	demo, err := assets.UnpackDemo(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	local := onCPU()
	defer local.Close()
	left, right := demoShift(t, local, demo, "look-left"), demoShift(t, local, demo, "look-right")
	t.Logf("contents move %+d pixels looking left, %+d looking right", left, right)
	if left <= 0 || right >= 0 {
		t.Errorf("contents move %+d pixels looking left and %+d looking right, want to the right and to the left", left, right)
	}
}
