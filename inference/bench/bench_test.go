package bench

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDims(t *testing.T) {
	for text, want := range map[string]Dims{
		"real":                     Real,
		"real,layers=2":            {5120, 13824, 40, 2, 96, 5, 480, 832},
		"dim=64, heads=4,frames=9": {64, 13824, 4, 1, 96, 9, 480, 832},
	} {
		got, err := ParseDims(text)
		if err != nil || got != want {
			t.Errorf("%q: %+v, %v, want %+v", text, got, err, want)
		}
		if again, err := ParseDims(got.String()); err != nil || again != got {
			t.Errorf("%q reads as %+v, %v", got.String(), again, err)
		}
	}
	for text, want := range map[string]string{
		"": "NAME=NUMBER", "real,dim": "dim", "dim=x": "dim=x", "depth=2": "depth=2", "dim=0": "dim=0", "ffn=99999999": "ffn=",
		"heads=7": "twice heads=7", "height=30": "multiples of 16", "frames=6": "5 and 9",
	} {
		if _, err := ParseDims(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want one with %q", text, err, want)
		}
	}
	part, whole, other := Real, Real, Real
	whole.Layers, other.FFN = realLayers, 4
	if !part.part() || whole.part() || other.part() || (*Dims)(nil).part() {
		t.Error("what is a part of the real model is told wrong")
	}
}

func TestCompare(t *testing.T) {
	want := []float32{1, -1, 0.5, 0}
	if r := RelL2([]float32{1, -1, 0.5, 0.15}, want); math.Abs(r-0.1) > 1e-6 {
		t.Errorf("relative error %v, want 0.1", r)
	}
	// A difference of 0.02 everywhere, of values that span 2: 20 log10(2/0.02).
	if p := PSNR([]float32{0.98, -0.98, 0.48, 0.02}, want); math.Abs(p-40) > 1e-4 {
		t.Errorf("PSNR %v dB, want 40", p)
	}
	if p := PSNR(want, want); p != maxPSNR {
		t.Errorf("PSNR %v dB of equal videos", p)
	}
	if r, p := RelL2(want[:3], want), PSNR(want[:3], want); !math.IsInf(r, 1) || !math.IsInf(p, -1) {
		t.Errorf("relative error %v and PSNR %v of a part", r, p)
	}
}

func TestText(t *testing.T) {
	for got, want := range map[string]string{
		number(0): "0", number(1234.5): "1234", number(12.345): "12.3", number(0.00012): "1.2e-04",
		size(999): "999 B", size(1500): "1.5 kB", size(18_540_000_000): "18.5 GB", size(2_000_000_000_000): "2000 GB",
		duration(0.0123): "12.3 ms", duration(61.2): "61.2 s",
		LayerError{Layer: "blocks.12.ffn.0"}.kind(): "blocks.*.ffn.0", LayerError{Layer: "text_embedding.0"}.kind(): "text_embedding.0",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestFolder makes sure that a checkpoint is linked without the quantised weights
// that it keeps, and that the folder goes.
func TestFolder(t *testing.T) {
	dir, temp := t.TempDir(), t.TempDir()
	for _, path := range []string{"low_noise_model/config.json", "quantized/old.safetensors", "Wan2.1_VAE.pth"} {
		path = filepath.Join(dir, path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte("x"), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	o := Options{Checkpoint: dir, Temp: temp, Progress: func(string) {}}
	o.Job.Frames = 9
	f, err := o.folder(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{"low_noise_model/config.json": true, "Wan2.1_VAE.pth": true, "quantized": false} {
		if _, err := os.Stat(filepath.Join(f.checkpoint, path)); (err == nil) != want {
			t.Errorf("%s: %v", path, err)
		}
	}
	if err := f.remove(); err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(temp); len(left) > 0 {
		t.Errorf("left %v", left)
	}
	if _, err := os.Stat(filepath.Join(dir, "Wan2.1_VAE.pth")); err != nil {
		t.Error(err)
	}
}
