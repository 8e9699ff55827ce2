package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gimbal/inference/golden"
	"gimbal/inference/weights"
)

// TestQuantize makes quantised weights ahead of time and uses them.
func TestQuantize(t *testing.T) {
	cache := t.TempDir() // not the user's
	t.Setenv("XDG_CACHE_HOME", cache)
	t.Setenv("HOME", cache)
	dir := filepath.Join(t.TempDir(), "checkpoint")
	if err := os.CopyFS(dir, os.DirFS(golden.Checkpoint(t))); err != nil {
		t.Fatal(err)
	}
	for _, flags := range [][]string{{"nf4"}, {"nf4", "--double_quant"}, {"int8"}} {
		args := append([]string{"quantize", "--ckpt_dir", dir, "--quant"}, flags...)
		out, errs, code := gimbal(t, args...)
		files := strings.Fields(out)
		if code != 0 || len(files) != 2 || !strings.Contains(errs, "quantising high_noise_model") {
			t.Fatalf("%v: exit code %d\n%s%s", flags, code, out, errs)
		}
		for _, file := range files {
			store, err := weights.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			if string(store.Quantised()) != flags[0] {
				t.Errorf("%v: %s holds %q", flags, file, store.Quantised())
			}
			store.Close()
		}
		if again, errs, code := gimbal(t, args...); code != 0 || again != out || strings.Contains(errs, "quantising") {
			t.Errorf("%v, again: exit code %d\n%s%s", flags, code, again, errs)
		}
	}
	out, errs, code := gimbal(t, "generate", "--json", "--ckpt_dir", dir, "--quant", "nf4", "--image", filepath.Join(golden.Dir(t), "image.png"),
		"--prompt", "a walk", "--frame_num", "5", "--sample_steps", "2", "--max_area", "1536", "--save_file", filepath.Join(t.TempDir(), "v.mp4"))
	if code != 0 {
		t.Fatalf("exit code %d\n%s%s", code, out, errs)
	}
	used := 0
	for _, l := range events(t, out) {
		var data struct{ Quant, File string }
		switch json.Unmarshal(l.Data, &data); l.Event {
		case "quantizing":
			t.Errorf("made again: %s", l.Data)
		case "quantized":
			used++
			if data.Quant != "nf4" || !strings.HasPrefix(data.File, dir) {
				t.Errorf("%s", l.Data)
			}
		}
	}
	if used != 2 {
		t.Errorf("%d experts with quantised weights, want 2", used)
	}
}

func TestQuantizeUsage(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"quantize", "--quant", "nf4"}, "ckpt_dir"},
		{[]string{"quantize", "--ckpt_dir", "x"}, "int8, nf4 or nf4-double"},
		{[]string{"quantize", "--ckpt_dir", "x", "--quant", "fp4"}, "fp4"},
		{[]string{"quantize", "--ckpt_dir", "x", "--quant", "int8", "--double_quant"}, "double_quant"},
		{[]string{"generate", "--ckpt_dir", "x", "--quant", "4"}, "none, bf16, int8, nf4 or nf4-double"},
	} {
		if out, errs, code := gimbal(t, c.args...); code != 2 || !strings.Contains(errs, c.want) {
			t.Errorf("%v: exit code %d, want 2 and %q\n%s%s", c.args, code, c.want, out, errs)
		}
	}
}
