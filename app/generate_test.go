package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gimbal/inference/golden"
)

// TestBadUsage makes sure that mistakes get exit code 2 for the command line and
// 1 for files, with a message that names what is wrong, and before any work.
func TestBadUsage(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty.png")
	if err := os.WriteFile(empty, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("DISPLAY", "") // where there is one, no command opens the window
	t.Setenv("WAYLAND_DISPLAY", "")
	good := []string{
		"generate", "--ckpt_dir", golden.Checkpoint(t), "--image", filepath.Join(golden.Dir(t), "image.png"),
		"--prompt", "a walk", "--frame_num", "5", "--sample_steps", "2", "--max_area", "1536", "--save_file", filepath.Join(dir, "v.mp4"),
	}
	with := func(args ...string) []string { return append(append([]string{}, good...), args...) }
	for _, c := range []struct {
		name string
		args []string
		code int
		want []string
	}{
		{"no command", nil, 2, []string{"usage", "generate"}},
		{"no command, from the Finder", []string{"-psn_0_12345"}, 2, []string{"usage", "window"}},
		{"a file", []string{empty}, 2, []string{"usage", "window"}},
		{"unknown command", []string{"paint"}, 2, []string{"paint"}},
		{"unknown flag", with("--colour", "red"), 2, []string{"colour"}},
		{"unquoted size", with("--size", "480*832", "832"), 2, []string{"quotes"}},
		{"frames", with("--frame_num", "8"), 2, []string{"frame_num", "5 and 9"}},
		{"no prompt", with("--prompt", ""), 2, []string{"prompt"}},
		{"size", with("--max_area", "0", "--size", "1*1"), 2, []string{"--size 1*1", "480*832"}},
		{"task", with("--task", "t2v-1.3B"), 2, []string{"t2v-1.3B", "i2v-A14B"}},
		{"guidance", with("--sample_guide_scale", "1,2,3"), 2, []string{"sample_guide_scale", "low,high"}},
		{"truth", with("--offload_model", "maybe"), 2, []string{"offload_model", "True or False"}},
		{"device", with("--device", "tpu"), 2, []string{"tpu"}},
		{"no checkpoint", with("--ckpt_dir", ""), 2, []string{"ckpt_dir", "demo"}},
		{"missing checkpoint", with("--ckpt_dir", filepath.Join(dir, "gone")), 1, []string{"gone"}},
		{"missing fast checkpoint", append([]string{"generate_fast", "--ckpt_dir", filepath.Join(dir, "gone")}, good[3:]...), 1, []string{"gone: no such file"}},
		{"empty fast checkpoint", append([]string{"generate_fast", "--ckpt_dir", dir}, good[3:]...), 1, []string{"folder: found one with empty.png"}},
		{"empty checkpoint", with("--ckpt_dir", dir), 1, []string{"high_noise_model", "text encoder", "VAE", "tokenizer"}},
		{"empty picture", with("--image", empty), 1, []string{"empty.png"}},
		{"no poses", with("--action_path", dir), 1, []string{"poses.npy"}},
		{"keys", with("--action_string", "w-5,wx-2"), 2, []string{"action_string", "'x'", "wx-2"}},
		{"frames of keys", with("--action_string", "w-9"), 2, []string{"--frame_num 5", "want 9"}},
		{"keys in no folder", with("--action_path", golden.Action(t, "forward"), "--allow_act2cam"), 1, []string{"wasd_action.npy"}},
		{"no such run", []string{"generate", "--resume", dir}, 1, []string{dir}},
		{"an empty run", []string{"generate", "--resume", ""}, 2, []string{"--resume"}},
		{"a missing run", []string{"generate", "--resume", filepath.Join(dir, "gone")}, 1, []string{"gone", "none of this name"}},
		{"a folder in a file", with("--save_file", "", "--save_dir", filepath.Join(empty, "videos")), 2, []string{"videos", "no such folder"}},
		{"a folder in vain", with("--save_file", "", "--save_dir", filepath.Join(dir, "v.videos"), "--frame_num", "8"), 2, []string{"--frame_num"}},
		{"a drawing", with("--image", filepath.Join("..", "inference", "picture", "testdata", "drawing.svg")), 1, []string{"drawing.svg", "SVG", "export it as PNG"}},
		{"a JPEG that is cut short", with("--image", filepath.Join("..", "inference", "picture", "testdata", "cut.jpg")), 1, []string{"cut.jpg", "cut short"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, errs, code := gimbal(t, c.args...)
			if code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			for _, word := range c.want {
				if !strings.Contains(errs, word) {
					t.Errorf("message does not name %q:\n%s%s", word, out, errs)
				}
			}
			if strings.Contains(errs, "goroutine") {
				t.Errorf("a panic:\n%s", errs)
			}
		})
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "v.*")); len(left) > 0 {
		t.Errorf("bad usage left %v", left)
	}
}

// TestBenchmarkCommand runs the Python port's benchmark command line as it is,
// but for the program's name, the folders and a size for a test.
func TestBenchmarkCommand(t *testing.T) {
	dir := t.TempDir()
	out, errs, code := gimbal(t, "generate", "--task", "i2v-A14B", "--size", "480*832", "--max_area", "1536",
		"--ckpt_dir", golden.Checkpoint(t), "--image", filepath.Join(golden.Dir(t), "image.png"),
		"--frame_num", "5", "--sample_steps", "2", "--prompt", "test", "--offload_model", "True",
		"--t5_fsdp", "--dit_fsdp", "--ulysses_size", "8", "--convert_model_dtype", "--t5_cpu",
		"--save_file", filepath.Join(dir, "v.mp4"))
	if code != 0 {
		t.Fatalf("exit code %d\n%s%s", code, out, errs)
	}
	for _, word := range []string{"step 1/2", "step 2/2", "--ulysses_size", "--t5_fsdp"} {
		if !strings.Contains(errs, word) {
			t.Errorf("%q is not printed:\n%s", word, errs)
		}
	}
	for _, name := range []string{"v.mp4", "v.png", "v.json"} {
		if !strings.Contains(out, filepath.Join(dir, name)) {
			t.Errorf("%s is not named:\n%s", name, out)
		}
	}
}

func TestInspect(t *testing.T) {
	out, errs, code := gimbal(t, "inspect", golden.Checkpoint(t))
	if code != 0 || !strings.Contains(out, "whole") {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
	actions, err := os.ReadDir(filepath.Join(golden.Dir(t), "actions"))
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range actions {
		if out, errs, code := gimbal(t, "inspect", golden.Action(t, a.Name())); code != 0 || !strings.Contains(out, "poses") {
			t.Errorf("%s: exit code %d\n%s%s", a.Name(), code, out, errs)
		}
	}
	alone := t.TempDir()
	poses, err := os.ReadFile(filepath.Join(golden.Action(t, "forward"), "poses.npy"))
	if err == nil {
		err = os.Mkdir(filepath.Join(alone, "take"), 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(alone, "take", "POSES.npy"), poses, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	if out, errs, code := gimbal(t, "inspect", alone); code != 0 || !strings.Contains(out, "500, 500, 416, 240") || !strings.Contains(out, "forward") {
		t.Errorf("poses alone, in a folder: exit code %d\n%s%s", code, out, errs)
	}
	broken := t.TempDir()
	if err := os.CopyFS(broken, os.DirFS(golden.Checkpoint(t))); err != nil {
		t.Fatal(err)
	}
	vae := filepath.Join(broken, "Wan2.1_VAE.pth")
	if err := os.Truncate(vae, 5000); err != nil {
		t.Fatal(err)
	}
	if out, errs, code := gimbal(t, "inspect", broken); code != 1 || !strings.Contains(errs, vae) || !strings.Contains(out, "DAMAGED") {
		t.Errorf("a damaged checkpoint: exit code %d\n%s%s", code, out, errs)
	}
}
