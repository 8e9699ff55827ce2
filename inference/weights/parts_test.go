package weights_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gimbal/inference/golden"
	"gimbal/inference/weights"
)

// TestPlans opens the reference checkpoint in the layouts of other tools: every tensor is that
// of the original.
func TestPlans(t *testing.T) {
	source := golden.Checkpoint(t)
	original, err := weights.OpenLayout(source)
	if err != nil {
		t.Fatal(err)
	}
	defer original.Close()
	for _, plan := range []string{"comfy", "diffusers", "diffusers_original_names"} {
		dir := t.TempDir()
		if !golden.Assemble(t, filepath.Join("plans", plan+".json"), source, dir) {
			continue
		}
		file, _ := filepath.Glob(filepath.Join(dir, "*", "*low*.safetensors"))
		for _, from := range append([]string{dir}, file...) {
			t.Run(plan+" "+filepath.Base(from), func(t *testing.T) {
				l, err := weights.OpenLayout(from)
				if err != nil {
					t.Fatal(err)
				}
				defer l.Close()
				for _, name := range []string{weights.HighNoise, weights.LowNoise} {
					sameBytes(t, name, l.Experts[name].Store, original.Experts[name].Store)
					if l.Experts[name].Config != original.Experts[name].Config {
						t.Errorf("%s: config %+v, want %+v", name, l.Experts[name].Config, original.Experts[name].Config)
					}
				}
				sameBytes(t, "text encoder", l.Text, original.Text)
				sameBytes(t, "VAE", l.VAE, original.VAE)
				if l.TokenizerDir == "" {
					t.Error("no tokenizer")
				}
			})
		}
	}
}

func sameBytes(t *testing.T, part string, got, want *weights.Store) {
	t.Helper()
	if got == nil {
		t.Errorf("no %s", part)
		return
	}
	if a, b := strings.Join(got.Names(), " "), strings.Join(want.Names(), " "); a != b {
		t.Errorf("%s has the tensors %s, want %s", part, a, b)
		return
	}
	for _, name := range want.Names() {
		a, err := got.Tensor(name)
		b, err2 := want.Tensor(name)
		if err != nil || err2 != nil || !bytes.Equal(a.Data, b.Data) {
			t.Errorf("%s: %s differs: %v, %v", part, name, err, err2)
		}
	}
}

// TestParts names parts one by one, of any container, in a PartsFile and on their own.
func TestParts(t *testing.T) {
	gguf, ok := golden.FormatFile(t, "gguf/q4_k_m.gguf")
	fp8, ok2 := golden.FormatFile(t, "comfy/fp8_scaled_tensor.safetensors")
	text, ok3 := golden.FormatFile(t, "t5/umt5-encoder-q8_0.gguf")
	vae := filepath.Join(golden.Checkpoint(t), "Wan2.1_VAE.pth")
	if !ok || !ok2 || !ok3 {
		t.Skip("not in the repository")
	}
	dir := t.TempDir()
	list, err := json.Marshal(weights.Parts{HighNoise: gguf, LowNoise: fp8, TextEncoder: text, VAE: vae})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, weights.PartsFile)
	if err := os.WriteFile(file, list, 0o644); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]weights.Checkpoint{
		"parts":  {Parts: weights.Parts{HighNoise: gguf, LowNoise: fp8, TextEncoder: text, VAE: vae}},
		"folder": {Dir: dir}, "file": {Dir: file},
		"over a checkpoint": {Dir: golden.Checkpoint(t), Parts: weights.Parts{HighNoise: gguf, LowNoise: fp8, TextEncoder: text}},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := c.Open()
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			if f := l.Experts[weights.HighNoise].Store.Quantised(); f != "q5_0" {
				t.Errorf("the expert for high noise is %s", f)
			}
			if f := l.Experts[weights.LowNoise].Store.Quantised(); f != weights.FP8 {
				t.Errorf("the expert for low noise is %s", f)
			}
			if spiece, err := l.Text.Spiece(); err != nil || len(spiece) == 0 || l.TokenizerDir != "" {
				t.Errorf("tokenizer of %d bytes, %v, in %q", len(spiece), err, l.TokenizerDir)
			}
			if files := l.Files(); len(files) < 4 {
				t.Errorf("files %v", files)
			}
		})
	}
}

// TestForeign names files for what they are.
func TestForeign(t *testing.T) {
	lora, ok := golden.FormatFile(t, "lora/comfy_updown.safetensors")
	if !ok {
		t.Skip("not in the repository")
	}
	vae := filepath.Join(golden.Checkpoint(t), "Wan2.1_VAE.pth")
	expert, _ := golden.FormatFile(t, "expert/diffusion_pytorch_model.safetensors")
	for says, p := range map[string]weights.Parts{
		"found a LoRA": {HighNoise: lora, TextEncoder: vae, VAE: vae},
		"found the VAE of Wan2.1, expected the text": {HighNoise: expert, TextEncoder: vae, VAE: vae},
		"found an expert":       {HighNoise: expert, TextEncoder: vae, VAE: expert},
		"tokenizer: found none": {HighNoise: expert, TextEncoder: vae, VAE: vae},
	} {
		_, err := weights.Checkpoint{Parts: p}.Open()
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("error %v, want one that says %q", err, says)
		}
	}
	dir := t.TempDir()
	for text, says := range map[string]string{
		`{"high": "x"}`: "high_noise", `{`: "JSON", `{}`: "no part", `{"vae": 3}`: "the path of a file", `{"vae": ""}`: "no path",
	} {
		path := filepath.Join(dir, "other.json")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := weights.OpenLayout(path); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: error %v, want one that says %q", text, err, says)
		}
	}
}

// TestJoinParts makes a model of files, with what they lack of a model that there is.
func TestJoinParts(t *testing.T) {
	gguf, ok := golden.FormatFile(t, "gguf/q4_k_m.gguf")
	text, ok2 := golden.FormatFile(t, "t5/umt5-encoder-q8_0.gguf")
	if !ok || !ok2 {
		t.Skip("not in the repository")
	}
	dir := t.TempDir()
	low := filepath.Join(dir, "x_low.gguf")
	if err := os.Symlink(gguf, low); err != nil {
		t.Fatal(err)
	}
	p, err := weights.JoinParts(golden.Checkpoint(t), []string{text, low})
	if err != nil || !p.Whole() || p.LowNoise != low || p.HighNoise != "" || p.TextEncoder != text || p.Tokenizer == "" {
		t.Errorf("parts %+v, %v", p, err)
	}
	list := filepath.Join(dir, "models", weights.PartsFile)
	if err := weights.WriteParts(list, p); err != nil {
		t.Fatal(err)
	}
	if q, err := weights.JoinParts(list, []string{gguf}); err != nil || q.LowNoise != low || q.HighNoise != gguf || q.VAE != p.VAE {
		t.Errorf("parts %+v, %v", q, err)
	}
	if _, err := weights.JoinParts("", []string{gguf, filepath.Join(golden.Checkpoint(t), weights.HighNoise)}); err == nil || !strings.Contains(err.Error(), "a second one") {
		t.Errorf("two experts for high noise: %v", err)
	}
	if p, err := weights.PartsOf(gguf); err != nil || p.Whole() {
		t.Errorf("an expert on its own: %+v, %v", p, err)
	}
}
