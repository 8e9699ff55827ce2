package vae_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gimbal/inference/cpu"
	"gimbal/inference/golden"
	"gimbal/inference/vae"
	"gimbal/inference/weights"
)

// tensors returns the reference cases' VAE, to be changed and written again.
func tensors(t *testing.T) []weights.Source {
	t.Helper()
	store, err := weights.Open(filepath.Join(golden.Checkpoint(t), "Wan2.1_VAE.pth"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	var sources []weights.Source
	for _, name := range store.Names() {
		tensor, err := store.Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, tensor.Source())
	}
	return sources
}

// loadError loads a VAE of sources and returns the error.
func loadError(t *testing.T, sources []weights.Source, stats vae.Statistics) error {
	t.Helper()
	path := filepath.Join(t.TempDir(), "vae.safetensors")
	if err := weights.WriteSafetensors(path, sources, nil); err != nil {
		t.Fatal(err)
	}
	store, err := weights.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	dev, err := cpu.Open(cpu.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	v, err := vae.Load(t.Context(), dev, store, stats)
	if err == nil {
		v.Close()
	}
	if held := dev.Info().Allocated; held != 0 {
		t.Errorf("%d bytes are still held after Load and Close", held)
	}
	return err
}

// TestLoadMissing leaves out every tensor, a few at a time: the error names each.
func TestLoadMissing(t *testing.T) {
	all := tensors(t)
	const groups = 9
	for group := range groups {
		var kept []weights.Source
		var left []string
		for i, source := range all {
			if i%groups == group {
				left = append(left, source.Name)
			} else {
				kept = append(kept, source)
			}
		}
		err := loadError(t, kept, vae.WanStatistics())
		missing := (*weights.TensorsError)(nil)
		if !errors.As(err, &missing) {
			t.Fatal(err)
		}
		for _, name := range left {
			if !slices.Contains(missing.Names, name) && !strings.Contains(err.Error(), fmt.Sprintf("%q", name)) {
				t.Errorf("without %s: %v", name, err)
			}
		}
	}
}

func TestLoadErrors(t *testing.T) {
	find := func(sources []weights.Source, suffix string) *weights.Source {
		i := slices.IndexFunc(sources, func(s weights.Source) bool { return strings.HasSuffix(s.Name, suffix) })
		if i < 0 {
			t.Fatalf("no tensor ends in %s", suffix)
		}
		return &sources[i]
	}
	without := func(sources []weights.Source, part string) []weights.Source {
		return slices.DeleteFunc(sources, func(s weights.Source) bool { return strings.Contains(s.Name, part) })
	}
	wan := vae.WanStatistics()
	for _, c := range []struct {
		name   string
		change func([]weights.Source) []weights.Source
		stats  vae.Statistics
		want   []string
	}{
		{"inputs and outputs exchanged", func(s []weights.Source) []weights.Source {
			shape := find(s, "decoder.head.2.weight").Shape
			shape[0], shape[1] = shape[1], shape[0]
			return s
		}, wan, []string{"decoder.head.2.weight", "3 3 3]"}},
		{"flat", func(s []weights.Source) []weights.Source {
			w := find(s, "residual.6.weight")
			w.Shape = []int{w.Shape[0], w.Shape[1] * w.Shape[2] * w.Shape[3] * w.Shape[4]}
			return s
		}, wan, []string{"residual.6.weight", "shape"}},
		{"another tensor's bias", func(s []weights.Source) []weights.Source {
			name := find(s, "to_qkv.bias").Name
			*find(s, "to_qkv.bias") = *find(s, "proj.bias")
			find(s, "proj.bias").Name = name
			return s
		}, wan, []string{"to_qkv.bias", "shape"}},
		{"a layer left out", func(s []weights.Source) []weights.Source {
			return without(s, "encoder.downsamples.4.")
		}, wan, []string{"encoder.downsamples.4", "encoder.downsamples."}},
		{"no decoder", func(s []weights.Source) []weights.Source {
			return without(s, "decoder.")
		}, wan, []string{"decoder.conv1.weight", "decoder.middle.0", "decoder.upsamples.0", "decoder.head.2.weight"}},
		{"no time in the decoder", func(s []weights.Source) []weights.Source {
			return slices.DeleteFunc(s, func(s weights.Source) bool {
				return strings.HasPrefix(s.Name, "decoder.") && strings.Contains(s.Name, "time_conv")
			})
		}, wan, []string{"decoder.upsamples", "time by 1", "as the encoder"}},
		{"an unknown layer", func(s []weights.Source) []weights.Source {
			extra := *find(s, "decoder.head.2.bias")
			extra.Name = "decoder.middle.3.gate.weight"
			return append(s, extra)
		}, wan, []string{"decoder.middle.3", "unknown kind"}},
		{"statistics of another model", func(s []weights.Source) []weights.Source { return s },
			vae.Statistics{Mean: make([]float32, 5), Std: make([]float32, 5)}, []string{"5 means"}},
		{"deviation of zero", func(s []weights.Source) []weights.Source { return s },
			vae.Statistics{Mean: wan.Mean, Std: make([]float32, len(wan.Mean))}, []string{"channel 0", "deviation"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := loadError(t, c.change(tensors(t)), c.stats)
			for _, want := range c.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("no %q in: %v", want, err)
				}
			}
			t.Log(err)
		})
	}
}
