package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gimbal/inference/golden"
	"gimbal/inference/weights"
)

// TestConvert converts a whole model, runs what comes of it without the model it was made of, and
// holds its latent to that of the model.
func TestConvert(t *testing.T) {
	c := golden.Cases(t, "e2e_")[0]
	var scalars e2e
	c.Scalars(t, &scalars)
	latent := func(ckpt string) []float32 {
		dir := t.TempDir()
		args := scalars.args(t, filepath.Join(dir, "v.mp4"))
		args[slices.Index(args, "--ckpt_dir")+1] = ckpt
		args = append(args, "--dump_tensors", filepath.Join(dir, "d.safetensors"))
		if out, errs, code := gimbal(t, args...); code != 0 {
			t.Fatalf("exit code %d\n%s%s", code, out, errs)
		}
		store, err := weights.Open(filepath.Join(dir, "d.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		values, err := store.Values("latent")
		if err != nil {
			t.Fatal(err)
		}
		return values
	}
	want := latent(golden.Checkpoint(t))
	for to, bound := range map[string]float64{"bf16": 0, "int8": 0.05, "nf4": 0.5, "q8_0": 0.05, "q4_k": 0.2} {
		model := checkpointTree(t)
		out := filepath.Join(t.TempDir(), "made")
		for range 2 { // the second finds all of it there
			if text, errs, code := gimbal(t, "convert", "--to", to, model.dir, out); code != 0 || strings.Count(text, "read back") != 2 {
				t.Fatalf("%s: exit code %d\n%s%s", to, code, text, errs)
			}
		}
		model.check(os.RemoveAll(model.dir))
		if off := golden.RelL2(latent(out), want); off > bound {
			t.Errorf("%s: the latent is off by %g, want at most %g", to, off, bound)
		}
	}
}

// TestConvertNothingLost finds what is in the way of a model before its experts are converted, and
// leaves it as it is.
func TestConvertNothingLost(t *testing.T) {
	model := checkpointTree(t)
	vae, err := os.ReadFile(model.at(vaeFile))
	if err != nil {
		t.Fatal(err)
	}
	vae[len(vae)-1]++
	for name, content := range map[string][]byte{
		"Wan2.1_VAE" + filepath.Ext(vaeFile): vae, "model.json": []byte("{}"), "low_noise_model/config.json": []byte("{}"),
		"low_noise_model/diffusion_pytorch_model.gguf": []byte("mine"), "google/umt5-xxl/tokenizer.json": []byte("{}"),
	} {
		out := t.TempDir()
		path := filepath.Join(out, name)
		model.check(os.MkdirAll(filepath.Dir(path), 0o755))
		model.check(os.WriteFile(path, content, 0o644))
		if _, errs, code := gimbal(t, "convert", "--to", "q8_0", model.dir, out); code != 1 || !strings.Contains(errs, path) || !strings.Contains(errs, "there already") {
			t.Errorf("%s in the way: exit code %d\n%s", name, code, errs)
		}
		if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, content) {
			t.Errorf("%s is not as it was: %v", name, err)
		}
		if _, err := os.Stat(filepath.Join(out, "high_noise_model", "diffusion_pytorch_model.gguf")); err == nil {
			t.Errorf("%s in the way was found after the work", name)
		}
	}
}

// TestConvertFiles converts single files of other tools, and refuses what would lose something.
func TestConvertFiles(t *testing.T) {
	dir := t.TempDir()
	model := checkpointTree(t)
	high := model.at(high)
	for _, c := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"an expert's folder", []string{"--to", "q8_0", high, filepath.Join(dir, "high.gguf")}, 0, "read back"},
		{"that back", []string{"--to", "bf16", filepath.Join(dir, "high.gguf"), filepath.Join(dir, "high.safetensors")}, 0, "read back"},
		{"the text encoder", []string{"--to", "bf16", model.at(textFile), filepath.Join(dir, "t5.safetensors")}, 0, "the same values"},
		{"the VAE", []string{"--to", "bf16", model.at(vaeFile), filepath.Join(dir, "vae.safetensors")}, 0, "the same values"},
		{"the text encoder in INT8", []string{"--to", "int8", model.at(textFile), filepath.Join(dir, "t5-8.safetensors")}, 1, "is for experts"},
		{"another form in its place", []string{"--to", "q4_k", high, filepath.Join(dir, "high.gguf")}, 1, "there already, of other weights"},
		{"over itself", []string{"--to", "q4_k", model.dir, model.dir}, 1, "the model itself"},
		{"over a picture", []string{"--to", "q4_k", high, filepath.Join(golden.Dir(t), "image.png")}, 2, "ends in .gguf"},
		{"another ending", []string{"--to", "q4_k", high, filepath.Join(dir, "x.safetensors")}, 2, "ends in .gguf"},
		{"no form", []string{high, filepath.Join(dir, "x.gguf")}, 2, "--to"},
		{"no model", []string{"--to", "q4_k", filepath.Join(golden.Dir(t), "image.png"), filepath.Join(dir, "x.gguf")}, 1, "a picture"},
		{"a folder for a file", []string{"--to", "q4_k", high, dir}, 2, "is a folder"},
	} {
		out, errs, code := gimbal(t, append([]string{"convert"}, c.args...)...)
		if code != c.code || !strings.Contains(out+errs, c.says) {
			t.Errorf("%s: exit code %d, want %d and %q\n%s%s", c.name, code, c.code, c.says, out, errs)
		}
	}
	other := filepath.Join(dir, "other")
	err := os.Mkdir(other, 0o755)
	if err == nil {
		err = os.WriteFile(filepath.Join(other, "config.json"), []byte("{}"), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(other, "x.gguf")
	if _, errs, code := gimbal(t, "convert", "--to", "q8_0", high, file); code != 1 || !strings.Contains(errs, "of another model") {
		t.Errorf("beside another model's config.json: exit code %d\n%s", code, errs)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("it was found after the work")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.part")); len(left) > 0 {
		t.Errorf("left %v", left)
	}
	out, _, _ := gimbal(t, "convert", "--json", "--to", "q8_0", high, filepath.Join(dir, "high.gguf"))
	var made weights.Converted
	if err := json.Unmarshal([]byte(out), &made); err != nil || made.Error == 0 || made.Worst == "" {
		t.Errorf("--json: %q, %v", out, err)
	}
}
